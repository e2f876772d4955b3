//! Computes probabilities of the binomial distribution.

/// P(X <= `hits`), where X is the number of hits in `trials` independent trials, each a hit with the probability
/// `rate`, 0..=1.
///
/// The sum starts at the largest term and stops once a term no longer changes it. The work therefore grows with the
/// distribution's spread, not with `trials`. The relative error is about 1e-9 at 100,000 trials and grows with `trials`.
#[must_use]
pub fn binomial_cdf(hits: u64, trials: u64, rate: f64) -> f64 {
    if hits >= trials || rate <= 0.0 {
        return 1.0;
    }
    if rate >= 1.0 {
        return 0.0;
    }
    let mode = ((trials + 1) as f64 * rate) as u64;
    if hits <= mode {
        return sum_downwards(hits, trials, rate).min(1.0);
    }
    // X > hits is the same as fewer than trials - hits misses, so the upper tail of X is a lower tail of the misses.
    (1.0 - sum_downwards(trials - hits - 1, trials, 1.0 - rate)).max(0.0)
}

/// P(X <= `hits`) for `hits` up to the mode, the most probable number. Below the mode, P(X = k) falls as k falls.
fn sum_downwards(hits: u64, trials: u64, rate: f64) -> f64 {
    let odds = (1.0 - rate) / rate;
    let mut term = ln_probability(hits, trials, rate).exp();
    let mut sum = term;
    for count in (1..=hits).rev() {
        term *= count as f64 / (trials - count + 1) as f64 * odds;
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

/// Natural logarithm of P(X = `hits`).
fn ln_probability(hits: u64, trials: u64, rate: f64) -> f64 {
    let (k, n) = (hits as f64, trials as f64);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k) + k * rate.ln() + (n - k) * (-rate).ln_1p()
}

/// Natural logarithm of n!. For n below 32 this is a sum of logarithms, from 32 on Stirling's series (Abramowitz and Stegun
/// 6.1.41).
fn ln_factorial(n: f64) -> f64 {
    if n < 32.0 {
        return (2..=n as u32).map(|factor| f64::from(factor).ln()).sum();
    }
    let inverse = 1.0 / n;
    let square = inverse * inverse;
    n * n.ln() - n
        + 0.5 * (std::f64::consts::TAU * n).ln()
        + inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The expected values are from scipy 1.x: `scipy.stats.binom.cdf(hits, trials, rate)`.
    #[test]
    fn equals_scipy() {
        for (hits, trials, rate, expected) in [
            (0, 299, 0.01, 0.049_536_256_637_662_465),
            (31, 152, 0.25, 0.110_046_345_092_227_66),
            (1000, 20_000, 0.051, 0.266_367_325_255_423_1),
            (5, 10, 0.5, 0.623_046_875),
        ] {
            let found: f64 = binomial_cdf(hits, trials, rate);
            assert!((found / expected - 1.0).abs() < 1e-9, "{hits} of {trials} at {rate}: {found}");
        }
    }

    #[test]
    fn certain_outcomes_have_probability_0_or_1() {
        assert_eq!(binomial_cdf(3, 3, 0.5), 1.0);
        assert_eq!(binomial_cdf(0, 3, 0.0), 1.0);
        assert_eq!(binomial_cdf(2, 3, 1.0), 0.0);
    }

    proptest! {
        #[test]
        fn equals_the_plain_sum(trials in 1u64..40, hits in 0u64..40, rate in 0.001..0.999f64) {
            let mut sum = 0.0;
            let mut choose = 1.0;
            for count in 0..=hits.min(trials) {
                sum += choose * rate.powi(count as i32) * (1.0 - rate).powi((trials - count) as i32);
                choose *= (trials - count) as f64 / (count + 1) as f64;
            }
            prop_assert!((binomial_cdf(hits, trials, rate) - sum).abs() < 1e-10);
        }
    }
}
