//! The whole way from files to the page, on figures that are made up. When a change to the page is
//! meant, copy what the test wrote to the folder it names over `golden/`, and read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::input::Input;
use crate::machine::Machine;
use crate::page::{PLOTS, Page};
use crate::write;

/// What is kept of a benchmark in `sample/benchmarks.tsv`: its full name, median, both bounds, samples.
fn criterion_folder(root: &Path, at: usize, line: &str) -> Result<()> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, median, low, high, samples] = fields[..] else { anyhow::bail!("{line}") };
    let numbers: Vec<f64> =
        [median, low, high].iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let interval = json!({
        "confidence_level": 0.95, "lower_bound": numbers[1], "upper_bound": numbers[2],
    });
    let estimate = json!({
        "confidence_interval": interval, "point_estimate": numbers[0], "standard_error": 1.0,
    });
    // The folder's name does not matter.
    let folder = root.join(format!("target/criterion/{at}/new"));
    fs::create_dir_all(&folder)?;
    let put = |file: &str, json: serde_json::Value| fs::write(folder.join(file), json.to_string());
    put("benchmark.json", json!({ "group_id": "a", "full_id": name, "throughput": null }))?;
    put("estimates.json", json!({ "mean": estimate, "median": estimate, "slope": null }))?;
    let times = vec![1.0; samples.parse()?];
    Ok(put("sample.json", json!({ "sampling_mode": "Linear", "iters": times, "times": times }))?)
}

/// A folder of its own, removed with it.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Result<Self> {
        let root = std::env::temp_dir().join(format!("perfdoc-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("target/bench"))?;
        Ok(Self(root))
    }

    /// With every result there can be.
    fn full(name: &str) -> Result<Self> {
        let root = Self::new(name)?;
        for (at, line) in fs::read_to_string(sample("benchmarks.tsv"))?.lines().enumerate() {
            criterion_folder(&root.0, at, line)?;
        }
        for file in ["arp_wire", "scale", "failover", "micro.run", "lab.run", "failover.run"] {
            let file = format!("{file}.json");
            fs::copy(sample(&file), root.0.join("target/bench").join(&file))?;
        }
        for (folder, suffix, size) in
            [("images", ".tar", 1_234_567), ("sample-triple/release", "", 1_200_000)]
        {
            let folder = root.0.join("target").join(folder);
            fs::create_dir_all(&folder)?;
            for name in ["controller", "speaker"] {
                fs::File::create(folder.join(format!("{name}{suffix}")))?.set_len(size)?;
            }
        }
        Ok(root)
    }

    fn page(&self) -> Result<Page> {
        let machine = Machine {
            processor: Some("Sample CPU".to_owned()),
            cores: 2,
            kernel: "6.1.0-sample".to_owned(),
            compiler: "rustc 1.2.3 (sample)".to_owned(),
            host: "sample-triple".to_owned(),
        };
        Ok(Page::of(&Input::read(&self.0, "2026-01-04".to_owned(), machine)?))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // What is left over lies in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sample(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/perfdoc/sample").join(file)
}

#[test]
fn the_page_and_its_plots_are_what_they_were() -> Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (golden, fresh) =
        (manifest.join("src/perfdoc/golden"), manifest.join("../target/perfdoc-golden"));
    write(&fresh, &Root::full("golden")?.page()?)?;
    let plots = PLOTS.map(|file| format!("performance/{file}"));
    for file in plots.into_iter().chain(["performance.md".to_owned()]) {
        let new = fs::read_to_string(fresh.join(&file))?;
        let old = fs::read_to_string(golden.join(&file)).unwrap_or_default();
        let difference = new.lines().zip(old.lines()).find(|(new, old)| new != old);
        ensure!(new == old, "{file} differs, see {}: {difference:?}", fresh.display());
    }
    Ok(())
}

#[test]
fn what_is_missing_is_left_out_and_said() -> Result<()> {
    let root = Root::full("missing")?;
    for file in
        ["target/bench/failover.json", "target/bench/scale.json", "target/images/speaker.tar"]
    {
        fs::remove_file(root.0.join(file))?;
    }
    fs::remove_dir_all(root.0.join("target/criterion/0"))?;
    let page = root.page()?;
    for word in
        ["When something fails", "failover.svg", "Services in a cluster", "The lab", "/24, 0 %"]
    {
        assert!(!page.text.contains(word), "{word} in {}", page.text);
    }
    let said = |words: &str| page.notes.iter().any(|note| note.contains(words));
    for words in [
        "no target/bench/failover.json",
        "\"When something fails\" is LEFT OUT",
        "no target/images/speaker.tar",
        "no result of the benchmark \"assign_and_release/v4_24/0\"",
        "no section shows the benchmark \"packet/new one/7\"",
    ] {
        assert!(said(words), "{words} in {:?}", page.notes);
    }
    Ok(())
}

#[test]
fn without_any_result_there_is_no_page() -> Result<()> {
    let error = Root::new("empty")?.page().err().context("there is one")?;
    assert!(error.to_string().contains("run e2e/bench"), "{error}");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_understood_is_named() -> Result<()> {
    let root = Root::full("broken")?;
    fs::write(root.0.join("target/bench/scale.json"), "{}")?;
    let error = root.page().err().context("understood")?;
    assert!(format!("{error:#}").contains("scale.json: missing field"), "{error:#}");
    Ok(())
}

#[test]
fn a_plot_that_is_no_longer_made_is_removed() -> Result<()> {
    let (root, out) = (Root::full("removed")?, Root::new("out")?);
    write(&out.0, &root.page()?)?;
    assert!(out.0.join("performance/failover.svg").exists());
    fs::remove_file(root.0.join("target/bench/failover.json"))?;
    write(&out.0, &root.page()?)?;
    assert!(!out.0.join("performance/failover.svg").exists());
    Ok(())
}
