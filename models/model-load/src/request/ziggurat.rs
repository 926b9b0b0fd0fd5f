//! Exponential draws without a logarithm: the ziggurat of Marsaglia and Tsang (2000).
//!
//! The area under the density is covered by 256 layers of the same size. A draw picks a layer and a
//! point in it; 98.9 % of the points lie below the density for certain, and no function is asked.

use std::sync::LazyLock;

use sim_kernel::Stream;

const LAYER_COUNT: usize = 256;
/// Where the lowest layer ends and the tail begins, and the area of a layer: "The Ziggurat Method for
/// Generating Random Variables", Journal of Statistical Software 5 (8), section 3.
const TAIL: f64 = 7.697_117_470_131_05;
const AREA: f64 = 0.003_949_659_822_581_572;

static LAYERS: LazyLock<Layers> = LazyLock::new(Layers::new);

/// Ends of the layers, from the lowest up, and the density there.
#[derive(Debug)]
struct Layers {
    ends: [f64; LAYER_COUNT + 1],
    densities: [f64; LAYER_COUNT + 1],
}

impl Layers {
    fn new() -> Self {
        let mut ends = [0.0; LAYER_COUNT + 1];
        // The lowest one is as long as if it had no tail but the same area.
        ends[0] = AREA / libm::exp(-TAIL);
        ends[1] = TAIL;
        for layer in 2..LAYER_COUNT {
            let below = libm::exp(-ends[layer - 1]);
            ends[layer] = -libm::log(below + AREA / ends[layer - 1]);
        }
        Self { ends, densities: ends.map(|end| libm::exp(-end)) }
    }
}

/// The next exponential number of mean one.
#[inline]
pub(crate) fn standard_exponential(stream: &mut Stream) -> f64 {
    let layers = &*LAYERS;
    let word = stream.next_u64();
    #[expect(clippy::cast_possible_truncation, reason = "the layer is the lowest byte")]
    let layer = usize::from(word as u8);
    // The point takes the upper 53 bits.
    let point = (word >> 11) as f64 * UNIT * layers.ends[layer];
    if point < layers.ends[layer + 1] { point } else { beyond(layers, layer, point, stream) }
}

const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;

/// A point that may lie above the density.
#[cold]
fn beyond(layers: &Layers, layer: usize, point: f64, stream: &mut Stream) -> f64 {
    if layer == 0 {
        // The tail looks like the whole.
        return TAIL + stream.draw().standard_exponential();
    }
    let (lower, upper) = (layers.densities[layer], layers.densities[layer + 1]);
    let height = lower + (upper - lower) * stream.draw().unit();
    if height < libm::exp(-point) { point } else { standard_exponential(stream) }
}

#[cfg(test)]
mod tests {
    use sim_kernel::{EntityKey, Purpose, Streams};

    use super::*;

    #[test]
    fn layers_have_the_same_area_and_meet_at_the_top() {
        let Layers { ends, densities } = Layers::new();
        for layer in 1..LAYER_COUNT {
            let area = ends[layer] * (densities[layer + 1] - densities[layer]);
            assert!((area / AREA - 1.0).abs() < 1e-9, "{layer}: {area}");
        }
        let tail = TAIL * densities[1] + densities[1];
        assert!((tail / AREA - 1.0).abs() < 1e-9, "{tail}");
    }

    #[test]
    fn draws_are_exponential() {
        let mut stream = Streams::new(1, 0).stream(EntityKey::of("test"), Purpose::new("test"));
        const COUNT: u32 = 1_000_000;
        let mut draws: Vec<f64> = (0..COUNT).map(|_| standard_exponential(&mut stream)).collect();
        draws.sort_unstable_by(f64::total_cmp);
        // Kolmogorov and Smirnov: a distance of 1.95 over the root happens once in a thousand.
        let distance = (0_u32..).zip(&draws).fold(0.0, |most: f64, (below, draw)| {
            let share = 1.0 - libm::exp(-draw);
            most.max((share - f64::from(below) / f64::from(COUNT)).abs())
        });
        assert!(distance < 1.95 / f64::from(COUNT).sqrt(), "{distance}");
        let beyond = draws.iter().filter(|draw| **draw > TAIL).count();
        // A million times exp(-7.697) is 454, give or take 21.
        assert!((380..530).contains(&beyond), "{beyond}");
    }
}
