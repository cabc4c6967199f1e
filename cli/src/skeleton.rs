//! `study new`: the skeleton of a study, from the example that ARCHITECTURE.md shows and the tests compile.

use std::path::Path;

use studies::EXAMPLE;

use crate::{Failure, print};

/// Where studies lie, from the root of the sources.
const FOLDER: &str = "engine/studies/src";
/// What begins their list in `lib.rs`.
const LIST: &str = "\nstudies! {\n";

/// Writes the skeleton of study `number` with that slug below `root`, and its line in the list.
///
/// # Errors
/// If the number or slug cannot be used or is taken, or `root` is not that of the sources.
pub fn write(number: u32, slug: &str, root: &Path) -> Result<(), Failure> {
    let usage = |reason: String| Err(Failure::Usage(reason));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=99).contains(&number) || slug.is_empty() || !slug.chars().all(fits) {
        return usage("a study has a number from 1 to 99 and a slug of a-z, 0-9 and hyphens".into());
    }
    let folder = root.join(FOLDER);
    let list = folder.join("lib.rs");
    let failed = |path: &Path, error: std::io::Error| Failure::Failed(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(&list).map_err(|error| failed(&list, error))?;
    let module = format!("s{number:02}_{}", slug.replace('-', "_"));
    let Some(start) = text.find(LIST).map(|at| at + LIST.len()) else {
        return usage(format!("{} has no list of studies", list.display()));
    };
    let lines = text[start..].lines().take_while(|line| !line.starts_with('}'));
    let mut at = start;
    for line in lines {
        let known = line.trim();
        if known.starts_with(&module[..4]) {
            return usage(format!("study {number:02} is there already: {known}"));
        }
        if *known < *module {
            at += line.len() + 1;
        }
    }
    let file = folder.join(format!("{module}.rs"));
    std::fs::write(&file, skeleton(number, slug)).map_err(|error| failed(&file, error))?;
    let text = format!("{}    {module}\n{}", &text[..at], &text[at..]);
    std::fs::write(&list, text).map_err(|error| failed(&list, error))?;
    print(&format!("Wrote {} and its line in {}.", file.display(), list.display()))
}

fn skeleton(number: u32, slug: &str) -> String {
    let [id, name] = [format!("id: {number},"), format!("slug: \"{slug}\",")];
    EXAMPLE.replace("id: 0,", &id).replace("slug: \"example\",", &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_is_its_file_and_one_line() {
        let root = std::env::temp_dir().join(format!("minibatch-new-{}", std::process::id()));
        let folder = root.join(FOLDER);
        std::fs::create_dir_all(&folder).unwrap();
        let before = "mod a;\nstudies! {\n    s01_rmt\n    s15_cct\n}\n\npub use b;\n";
        std::fs::write(folder.join("lib.rs"), before).unwrap();
        write(7, "layer-norm", &root).unwrap();
        let list = std::fs::read_to_string(folder.join("lib.rs")).unwrap();
        assert_eq!(list, before.replace("    s15_cct", "    s07_layer_norm\n    s15_cct"));
        let file = std::fs::read_to_string(folder.join("s07_layer_norm.rs")).unwrap();
        assert!(file.contains("id: 7,\n    slug: \"layer-norm\",") && !file.contains("example"));
        assert_eq!(file.lines().count(), EXAMPLE.lines().count());
        write(59, "last", &root).unwrap();
        let list = std::fs::read_to_string(folder.join("lib.rs")).unwrap();
        assert!(list.contains("    s15_cct\n    s59_last\n}"));
        for (number, slug) in [(7, "again"), (0, "zero"), (8, "Not a slug"), (100, "more")] {
            assert!(matches!(write(number, slug, &root), Err(Failure::Usage(_))), "{number} {slug}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
