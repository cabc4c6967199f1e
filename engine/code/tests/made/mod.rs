//! The files of a run, made natively.

use std::rc::Rc;

use code::{Error, File, Framework, files};
use engine::cpu::CpuExecutor;
use engine::spec::Link;

/// Updates that scripts are held against.
pub const UPDATES: u64 = 50;

/// The files of the run of a link.
///
/// # Errors
/// Those of [`files`].
pub fn made(text: &str, framework: Framework) -> Result<Vec<File>, Error> {
    let link = Link::parse(text);
    assert_eq!(link.issues, [], "{text}");
    let spec = &link.spec;
    let pack = engine::data::pack_file(spec.data.set).map(|name| engine::data::read_pack_file(&name).unwrap());
    let data = Rc::new(engine::data::load(&spec.data, spec.seed, pack.as_deref())?);
    pollster::block_on(files(CpuExecutor::new(), &link, data, framework, UPDATES, async |_| true))
}
