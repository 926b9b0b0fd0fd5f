//! Pods of which the one with the fewest requests gets the next: their lines beside the one line that all of them
//! could have.
//!
//! Whoever comes waits where all workers of all pods are busy, as in the one line; that is so more seldom, because
//! some are idle in one pod while somebody waits in another. Who waits does so for the workers of one pod, about
//! the work of one of them longer. There is no law for it: the numbers below were fitted to simulated lines of
//! 3 and 10 pods with 1, 2 and 8 workers, 60, 80 and 95 % busy with exponential work, of which 4 million
//! requests each: the share that waits is within 5 % of it where more than 1 % wait, the mean of the others
//! within 4 %, and their law is about exponential.

/// How much less often somebody waits than in one line, as a factor, and how much longer whoever does, as a
/// multiple of the time that a worker takes for a request: of so many pods of so many workers each.
pub(super) fn beside_one(pods: u32, workers: u32, load: f64) -> (f64, f64) {
    let (pods, workers) = (f64::from(pods), f64::from(workers));
    let idle = (1.0 - load).max(0.0);
    let apart = (pods - 1.0) * (0.38 - 0.23 / libm::sqrt(workers));
    let less = 1.0 / (1.0 + apart * idle);
    // Where little comes whoever waits does so for one of the workers of one pod.
    let seldom = 1.0 - libm::pow(load.min(1.0), pods / 3.0);
    let longer = (1.0 - 1.0 / pods) * (0.62 + 0.38 * seldom * seldom) / workers;
    (less, longer)
}
