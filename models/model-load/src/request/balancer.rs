//! Which of several pods gets a request.

use model_api::path::Balancing;
use sim_kernel::Stream;

/// Chooses pods that get requests.
#[derive(Clone, Debug)]
pub(super) struct Balancer {
    balancing: Balancing,
    pub(super) stream: Stream,
    /// Whose turn it is.
    next: usize,
}

impl Balancer {
    pub(super) fn new(balancing: Balancing, stream: Stream) -> Self {
        Self { balancing, stream, next: 0 }
    }

    /// One of so many pods, each with so many requests inside. A balancer that has to choose and knows of no
    /// rule takes any.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    pub(super) fn choose(&mut self, count: usize, mut inside: impl FnMut(usize) -> usize) -> usize {
        assert!(count > 0, "there is a pod to choose");
        if count == 1 {
            return 0;
        }
        match self.balancing {
            Balancing::Shared | Balancing::Random => {
                let drawn = self.stream.draw().below(count as u64);
                usize::try_from(drawn).expect("it is less than a number of pods")
            }
            Balancing::RoundRobin => {
                let chosen = if self.next < count { self.next } else { 0 };
                self.next = chosen + 1;
                chosen
            }
            Balancing::LeastRequests => {
                let (mut chosen, mut least) = (0, usize::MAX);
                for idx in 0..count {
                    let inside = inside(idx);
                    if inside < least {
                        (chosen, least) = (idx, inside);
                    }
                    if least == 0 {
                        break;
                    }
                }
                chosen
            }
        }
    }
}
