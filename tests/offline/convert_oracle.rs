//! Checks that the four conversions of the paper, resizing and the tensor are byte-equal with NumPy and Pillow.
//!
//! tests/oracle/convert.py computes the same from the same levels. The script needs Python with NumPy and Pillow: `.venv` of
//! `scripts/setup`, or the interpreter that CELLGATE_PYTHON names. The radiographs are generated ones, and all readable ones in the
//! folders `tiffs` and `xray16` of CELLGATE_SHARED (default: `shared` beside the repository).

use anyhow::{Context as _, ensure};
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Histogram, Method, Size, image_percentiles};
use cellgate_models::radiograph::{Radiograph, RadiographLimits, read};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The percentiles that are compared.
const PERCENTS: [f64; 9] = [0.0, 0.01, 0.3, 12.5, 50.0, 66.7, 99.9, 99.99, 100.0];

#[test]
fn generated_images_equal_numpy_and_pillow() -> anyhow::Result<()> {
    let mut state = 7;
    let mut random = move |below: u64| {
        state = next(state);
        (state >> 33) % below
    };
    for (height, width) in [(1, 1), (1, 9), (17, 1), (16, 16), (61, 47), (130, 259), (400, 300), (2115, 1219)] {
        let base = random(60_000);
        let range = 1 + random(65_536 - base);
        let levels = (0..height * width).map(|_| (base + random(range)) as u16).collect();
        let radiograph = Radiograph::new(width, height, levels)?;
        let size = Size { height: 1 + random(700) as u32, width: 1 + random(700) as u32 };
        compare(&format!("generated {height}x{width}"), &radiograph, size)?;
    }
    Ok(())
}

#[test]
fn images_of_few_levels_equal_numpy_and_pillow() -> anyhow::Result<()> {
    let constant = Radiograph::new(5, 4, vec![1234; 20])?;
    compare("constant", &constant, Size { height: 7, width: 3 })?;
    // The percentiles of 9,999 pixels lie between two order statistics.
    let two = Radiograph::new(101, 99, (0..101 * 99).map(|at| 1000 + u16::from(at < 5000)).collect())?;
    compare("two levels", &two, Size { height: 33, width: 200 })?;
    // The 0.01th percentile of 5,001 pixels lies halfway between the two lowest levels, at 1000.5.
    let halves = Radiograph::new(5001, 1, (0..5001).map(|at| if at == 0 { 1000 } else { 1001 }).collect())?;
    compare("a lower bound of exactly a half", &halves, Size { height: 2, width: 2 })
}

#[test]
fn shared_radiographs_equal_numpy_and_pillow() -> anyhow::Result<()> {
    let mut state = 11;
    for folder in ["tiffs", "xray16"].into_iter().filter_map(cellgate_test_support::shared) {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
        paths.sort();
        let mut compared = 0;
        for path in &paths {
            state = next(state);
            let size = Size { height: 1 + (state >> 40) as u32 % 3000, width: 1 + (state >> 20) as u32 % 1500 };
            // Other tests cover files that the reader refuses.
            if let Ok(radiograph) = read(path, &RadiographLimits::default()) {
                compare(&path.display().to_string(), &radiograph, size)?;
                compared += 1;
            }
        }
        println!("{}: {compared} of {} files are radiographs and were compared", folder.display(), paths.len());
        assert!(compared > 0, "no readable radiograph in {}", folder.display());
    }
    Ok(())
}

/// Compares all results for `radiograph`: at its own size, at two usual sizes and at `size`.
fn compare(name: &str, radiograph: &Radiograph, size: Size) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |file: &str, bytes: &[u8]| std::fs::write(folder.path().join(file), bytes);
    write("levels", &radiograph.levels().iter().flat_map(|level| level.to_ne_bytes()).collect::<Vec<u8>>())?;

    let histogram = Histogram::of(radiograph.levels());
    let bounds = Bounds::global([image_percentiles(radiograph)]).context("no bounds")?;
    let local = Bounds::local(&histogram).context("no bounds")?;
    let mut images = Vec::new();
    for size in [None, Some(Size::PAPER), Some(Size { height: 224, width: 224 }), Some(size)] {
        for method in Method::PAPER {
            let mut spec = ConversionSpec::new(method).with_bounds(bounds);
            spec.size = size;
            let mut converter = Converter::new(&spec)?;
            let levels8 = format!("{}.levels8", images.len());
            write(&levels8, &converter.to_levels8(radiograph)?.levels)?;
            // Tensors are large, so only those of 224 x 224 pixels are compared.
            let tensor = if size.is_some_and(|size| size.height == 224) {
                let mut values = vec![0.0; 3 * converter.output_size(radiograph).pixels()];
                converter.to_tensor(radiograph, &mut values)?;
                let file = format!("{}.tensor", images.len());
                write(&file, &values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>())?;
                Some(file)
            } else {
                None
            };
            images.push(json!({
                "method": method,
                "bounds": [bounds.lo(), bounds.hi()],
                "size": size.map(|size| [size.height, size.width]),
                "levels8": levels8,
                "tensor": tensor,
            }));
        }
    }
    let percentiles: Vec<Value> = PERCENTS.iter().map(|&q| json!([q, histogram.percentile(q)])).collect();
    let case = json!({
        "height": radiograph.height(),
        "width": radiograph.width(),
        "percentiles": percentiles,
        "local_bounds": [local.lo(), local.hi()],
        "global_bounds": [bounds.lo(), bounds.hi()],
        "images": images,
    });
    write("cases.json", case.to_string().as_bytes())?;
    ask_oracle(name, folder.path())
}

fn ask_oracle(name: &str, folder: &Path) -> anyhow::Result<()> {
    let python = std::env::var_os("CELLGATE_PYTHON").map_or(root().join(".venv/bin/python"), PathBuf::from);
    let output = Command::new(&python)
        .arg(root().join("tests/oracle/convert.py"))
        .arg("cases")
        .arg(folder)
        .output()
        .with_context(|| format!("{}: run scripts/setup, or set CELLGATE_PYTHON", python.display()))?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{name}: differs from NumPy and Pillow:\n{said}{errors}");
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The next state of a linear congruential generator (Knuth, MMIX).
fn next(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}
