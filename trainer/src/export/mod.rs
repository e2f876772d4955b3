//! The model bundle and its parity gate.
