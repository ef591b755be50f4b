//! The imports that the SDK declares are the functions of the ABI. It is read from the source, since natively there are
//! no imports; signatures are compared by the host, whenever it loads a module.

use afresh_protocol::abi;

const SOURCE: &str = include_str!("../src/host/wasm.rs");

#[test]
fn the_sdk_declares_the_functions_of_the_abi() {
    let declared: Vec<_> =
        SOURCE.lines().filter_map(|line| line.split_once("pub(super) ")?.1.split_once('(')).collect();
    let declared: Vec<_> = declared.iter().filter_map(|(head, _)| head.rsplit(' ').next()).collect();
    assert_eq!(declared, abi::FUNCTIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    assert!(SOURCE.contains(&format!("wasm_import_module = {:?}", abi::NAMESPACE)));
}
