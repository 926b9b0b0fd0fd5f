//! What stands between clients and Services: load balancers with their machines and members, and what
//! gateways know of the endpoints behind them.
//!
//! This crate must never look at workloads or requests: it is told which nodes and pods answer and which
//! zones are down, and it says where connections are led to.
//!
//! # For the platform
//! - Construct: [`Balancers::new`] from the blueprint and the luck of the run.
//! - Inputs, with the context: [`Balancers::set_node`], [`Balancers::set_zone`],
//!   [`Balancers::lose_machines`]; of Services that keep connections on their node
//!   [`Balancers::set_local`].
//! - Events: [`GatewayEvent`], back into [`Balancers::handle`].
//! - After each event of the world, [`Balancers::take_led`] tells where balancers lead to that lead
//!   elsewhere since, and [`Gateways::take_known`] which pods gateways choose from that choose from
//!   others.
//! - Likewise of gateways: [`Gateways::new`], [`Gateways::set_routed`], [`Gateways::set_pod`],
//!   [`Gateways::set_controller`], [`Gateways::handle`]; and of names: [`Names::new`], [`Names::set_record`],
//!   [`Names::set_fault`], [`Names::handle`], [`Names::take_answers`].
//!
//! # Modelled
//! - Octavia: one machine or a pair; how the second takes over; how lost machines are noticed and
//!   replaced; health monitors of members, which are the nodes of the cluster.
//! - Kong: the list of pods behind each Service that a gateway chooses from, which its controller
//!   brings it; active and passive checks of these.
//! - DNS: records of names that lead to entrances, checks that change them, and how long answers are kept.
//! # Not modelled
//! What becomes of connections that are open when a machine is lost (here each request is one of its own;
//! the platform counts handshakes of the herd that follows); limits of
//! connections and of the machine itself; the API of the cloud (it always answers); OVN as provider;
//! `failover_threshold`; members that are pods.
//! # Defaults and their sources
//! See the modules. Octavia 14, HAProxy 2.8, cloud controller manager of OpenStack 1.31.
//! # Invariants
//! - A balancer to which nothing happens has no event.
//! - Draws belong to a balancer by its name, and to a machine or node of it.
//! # Checked against
//! GW-2 to GW-4 of the specification of platform services.

pub mod balancer;
mod balancers;
mod gateways;
mod names;
pub mod rare;
pub mod upstream;

pub use balancers::{Balancers, GatewayEvent, Led, LocalState, ZoneState};
pub use gateways::{Gateways, Known, PodState, UpstreamIdx};
pub use names::{Answer, Names, judged_at, weights_milli};
