//! Divides a whole number into whole shares in proportion to weights.

/// Divides `total` in proportion to `weights` by the largest remainder method. Then raises every share to at least 1, as far as
/// `total` allows, at the cost of the largest shares.
pub(super) fn apportion(total: usize, weights: &[usize]) -> Vec<usize> {
    let mut shares = apportion_up_to(total, weights, &vec![total; weights.len()]);
    while let Some(empty) = shares.iter().position(|share| *share == 0) {
        let Some(largest) = (0..shares.len()).max_by_key(|&owner| shares[owner]).filter(|&owner| shares[owner] > 1)
        else {
            break;
        };
        shares[largest] -= 1;
        shares[empty] += 1;
    }
    shares
}

/// Divides `total` in proportion to `weights` by the largest remainder method, with each share at most its limit in `limits`.
/// Shares of weight 0 are 0. The shares sum to `total`, or to less if the limits of the shares with a weight above 0 sum to less.
pub(super) fn apportion_up_to(total: usize, weights: &[usize], limits: &[usize]) -> Vec<usize> {
    let sum = weights.iter().sum::<usize>().max(1);
    let mut shares: Vec<_> =
        weights.iter().zip(limits).map(|(weight, limit)| (total * weight / sum).min(*limit)).collect();
    let mut given: usize = shares.iter().sum();
    let mut owners: Vec<_> = (0..weights.len()).filter(|&owner| weights[owner] > 0).collect();
    owners.sort_by_key(|&owner| (std::cmp::Reverse(total * weights[owner] % sum), owner));
    while given < total {
        let before = given;
        for &owner in &owners {
            if given < total && shares[owner] < limits[owner] {
                shares[owner] += 1;
                given += 1;
            }
        }
        if given == before {
            break;
        }
    }
    shares
}
