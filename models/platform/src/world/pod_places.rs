//! Places of pods whose Service has clients that stay with one: each pod keeps its place while it gets
//! requests.

use model_api::{PodId, ServiceId};
use model_kube::cluster::Route;

/// Which pod has which place, by Service.
#[derive(Clone, Debug, Default)]
pub(super) struct PodPlaces {
    all: Vec<(ServiceId, Vec<Option<PodId>>)>,
}

impl PodPlaces {
    /// Gives those that get requests places among `count`; returns them in the order of the routes.
    ///
    /// Simplified: pods that are more than there are places share those of others.
    pub(super) fn assign(
        &mut self,
        service: ServiceId,
        count: usize,
        routes: &[Route],
    ) -> Vec<usize> {
        let known = self.all.iter().position(|(other, _)| *other == service);
        let known = known.unwrap_or_else(|| {
            self.all.push((service, vec![None; count]));
            self.all.len() - 1
        });
        let places = &mut self.all[known].1;
        let mut found: Vec<Option<usize>> = routes
            .iter()
            .map(|route| places.iter().position(|place| *place == Some(route.pod)))
            .collect();
        // A place that becomes free now is taken last, so that what waits there is not another one's.
        let were_free: Vec<usize> = free(places).collect();
        for place in places.iter_mut() {
            if place.is_some_and(|pod| routes.iter().all(|route| route.pod != pod)) {
                *place = None;
            }
        }
        let now_free: Vec<usize> =
            free(places).filter(|place| !were_free.contains(place)).collect();
        let mut left = were_free.into_iter().chain(now_free);
        for (position, place) in found.iter_mut().enumerate().filter(|(_, place)| place.is_none()) {
            let of_new = left.next();
            if let Some(new) = of_new {
                places[new] = Some(routes[position].pod);
            }
            *place = of_new;
        }
        let shared =
            |(position, place): (usize, Option<usize>)| place.unwrap_or(position % count.max(1));
        found.into_iter().enumerate().map(shared).collect()
    }
}

fn free(places: &[Option<PodId>]) -> impl Iterator<Item = usize> + '_ {
    places.iter().enumerate().filter(|(_, pod)| pod.is_none()).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use model_api::{NodeId, ZoneId};

    use super::*;

    #[test]
    fn pods_keep_their_places_and_those_of_pods_that_go_are_taken_last() {
        let route =
            |pod| Route { pod: PodId(pod), node: NodeId(0), zone: ZoneId(0), is_live: true };
        let mut places = PodPlaces::default();
        for (pods, wanted) in [
            (vec![1, 2], vec![0, 1]),
            // The first one goes while another one comes.
            (vec![2, 3], vec![1, 2]),
            (vec![2, 3, 4, 5], vec![1, 2, 0, 3]),
            // There are four places.
            (vec![2, 3, 4, 5, 6], vec![1, 2, 0, 3, 0]),
        ] {
            let routes: Vec<Route> = pods.iter().copied().map(route).collect();
            let found = places.assign(ServiceId(0), 4, &routes);
            assert_eq!(found, wanted, "{pods:?}");
        }
    }
}
