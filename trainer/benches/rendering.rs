//! Measures how many crops per second one core renders for `pretrain`. Training with a network that costs nothing would be as fast
//! as this times the number of rendering threads.
//!
//! `cargo bench -p cellgate-trainer --bench rendering -- [BLOCKS]`

use cellgate_models::conversion::Size;
use cellgate_trainer::pretrain::{PretrainConfig, PretrainError, Stream};
use std::time::Instant;

/// The defaults of `pretrain` on a CPU.
const CONFIG: PretrainConfig =
    PretrainConfig { seed: 1, batch: 32, crop: Size { height: 160, width: 160 }, learning_rate: 1e-3 };

fn main() -> Result<(), PretrainError> {
    let blocks = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(8);
    let stream = Stream::of_training(&CONFIG);
    let (start, mut crops) = (Instant::now(), 0);
    for number in 0..blocks {
        crops += stream.render(number)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{crops} crops of {}: {:.2} ms each, {:.0}/s",
        CONFIG.crop,
        1e3 * seconds / crops as f64,
        crops as f64 / seconds
    );
    Ok(())
}
