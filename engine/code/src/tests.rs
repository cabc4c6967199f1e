//! Files of runs as a whole.

use std::rc::Rc;

use engine::cpu::CpuExecutor;
use engine::spec::Link;

use super::*;

fn made(text: &str, framework: Framework, updates: u64) -> Result<Vec<File>, Error> {
    let link = Link::parse(text);
    assert_eq!(link.issues, [], "{text}");
    let spec = &link.spec;
    let pack = engine::data::pack_file(spec.data.set).map(|name| engine::data::read_pack_file(&name).unwrap());
    let data = Rc::new(engine::data::load(&spec.data, spec.seed, pack.as_deref())?);
    pollster::block_on(files(CpuExecutor::new(), &link, data, framework, updates, async |_| true))
}

#[test]
fn what_no_script_repeats_is_refused_by_name() {
    for (text, part) in [
        ("#lab?preset=mlp&optimizer.rho=0.1&v=2", "SAM"),
        ("#lab?preset=mlp&optimizer=prodigy&optimizer.rho=0.1&v=2", "Prodigy is not among the update rules"),
        ("#lab?preset=convnet&augment.mixup=0.2&v=2", "mixup"),
        ("#lab?preset=convnet&augment.crop=0.8&v=2", "crops"),
        ("#lab?preset=convnet&model.ghost=16&v=2", "ghost"),
        ("#lab?preset=cct-digits&objective=restore&v=2", "patches are hidden"),
        ("#lab?preset=mlp&schedule.momentum=counter&v=2", "momentum"),
        ("#lab?preset=mlp&edit=1:optimizer.weight_decay=1&v=2", "“optimizer.weight_decay” was changed at update 1"),
        ("#lab?preset=convnet&data.train=300&batch.size=0&v=2", "micro-batches"),
    ] {
        let refused = made(text, Framework::Torch, 3).err();
        let message = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains(part) && message.contains("PyTorch"), "{text}: {message}");
    }
}
