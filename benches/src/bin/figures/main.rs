//! Makes a page and plots of what the benchmarks' last runs kept: `figures FOLDER`.

#![expect(clippy::print_stdout, reason = "it says what it made")]

mod page;
mod plot;

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("figures: expected a folder")?);
    fs::create_dir_all(&folder)?;
    let benchmarks = cordon_benches::kept()?;
    for (name, figures) in &benchmarks {
        plot::draw(&folder.join(name).with_extension("svg"), name, figures)?;
    }
    let page_path = folder.join("README.md");
    fs::write(&page_path, page::of(&benchmarks))?;
    println!("{}: {} benchmarks", page_path.display(), benchmarks.len());
    Ok(())
}
