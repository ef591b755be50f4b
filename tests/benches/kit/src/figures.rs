//! What is said of many figures.

/// The median; not a number where there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 50.0)
}

/// The figure that so many of a hundred do not exceed; not a number where there is none.
pub fn percentile(values: impl IntoIterator<Item = f64>, percent: f64) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * percent / 100.0).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_figures() {
        let of = |percent| percentile([3.0, 1.0, 2.0, 4.0, 5.0], percent);
        assert_eq!([of(0.0), of(50.0), of(80.0), of(99.9), of(100.0)], [1.0, 3.0, 4.0, 5.0, 5.0]);
        assert!(median([]).is_nan());
    }
}
