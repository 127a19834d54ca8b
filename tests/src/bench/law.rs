//! How cost should grow with size, and how far what was measured lies from it: what is far off is a kink, to be found or
//! explained.

/// The shape of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Law {
    /// The same for any size.
    Flat,
    /// A fixed part, and the same again for each more.
    Linear,
}

/// A law that was fitted to what was measured: every point counts by how far it is off in proportion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fitted {
    law: Law,
    fixed: f64,
    growing: f64,
}

impl Law {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Linear => "linear",
        }
    }

    fn shape(self, size: f64) -> f64 {
        match self {
            Self::Flat => 0.0,
            Self::Linear => size,
        }
    }

    /// Points are sizes and costs.
    pub(super) fn fit(self, points: &[(f64, f64)]) -> Fitted {
        // Least squares with a weight of one by the square of the cost.
        let sum = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
            points.iter().map(|(size, cost)| term(self.shape(*size), *cost) / (cost * cost)).sum()
        };
        let (one, x, xx) = (sum(&|_, _| 1.0), sum(&|x, _| x), sum(&|x, _| x * x));
        let (y, xy) = (sum(&|_, y| y), sum(&|x, y| x * y));
        let spread = one * xx - x * x;
        let growing = if spread > 0.0 { (one * xy - x * y) / spread } else { 0.0 };
        let fixed = if one > 0.0 { (y - growing * x) / one } else { 0.0 };
        let (fixed, growing) = match (fixed < 0.0, growing < 0.0) {
            // Nothing costs less than nothing.
            (true, _) if xx > 0.0 => (0.0, xy / xx),
            (_, true) => (y / one, 0.0),
            _ => (fixed, growing),
        };
        Fitted { law: self, fixed, growing }
    }
}

impl Fitted {
    pub(super) fn at(self, size: f64) -> f64 {
        self.fixed + self.growing * self.law.shape(size)
    }

    /// How many times more or less than the law says the worst point is.
    pub(super) fn worst(self, points: &[(f64, f64)]) -> f64 {
        let off = |(size, cost): &(f64, f64)| (cost / self.at(*size)).max(self.at(*size) / cost);
        points.iter().map(off).fold(1.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_law_lies_on_it_and_a_kink_does_not() {
        let sizes = [10.0, 100.0, 1000.0, 10_000.0];
        let costs = |of: fn(f64) -> f64| sizes.map(|size| (size, of(size)));
        let flat: fn(f64) -> f64 = |_| 3.0;
        let linear: fn(f64) -> f64 = |size| 5.0 + 0.25 * size;
        for (law, of) in [(Law::Flat, flat), (Law::Linear, linear)] {
            let points = costs(of);
            assert!(law.fit(&points).worst(&points) < 1.001, "{law:?}: {:?}", law.fit(&points));
        }
        let kinked = costs(|size| if size > 5000.0 { 40.0 } else { 3.0 });
        assert!(Law::Flat.fit(&kinked).worst(&kinked) > 3.0);
        let square = costs(|size| size * size);
        assert!(Law::Linear.fit(&square).worst(&square) > 3.0);
    }

    #[test]
    fn nothing_costs_less_than_nothing() {
        let fitted = Law::Linear.fit(&[(1.0, 1.0), (2.0, 4.0), (3.0, 9.0)]);
        assert!(fitted.at(0.0) >= 0.0 && fitted.growing > 0.0);
        let shrinking = Law::Linear.fit(&[(1.0, 9.0), (2.0, 4.0)]);
        assert!(shrinking.at(1000.0) > 0.0);
    }
}
