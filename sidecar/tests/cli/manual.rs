//! `holdfast completions` and `holdfast man`.

use crate::run;

#[test]
fn each_shell_gets_completions_with_the_options_of_serve() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, _) = run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("dapr-http-port") && script.contains("try-lock"), "{shell}");
        assert!(script.contains("max-hold"), "{shell}");
    }
    assert_eq!(run(&["completions", "cmd"]).0, 2);
}

#[test]
fn the_program_and_each_command_have_a_page() {
    for (command, title, part) in [
        (&[][..], ".TH holdfast 1", "holdfast\\-serve(1)"),
        (&["serve"], ".TH holdfast-serve 1", "\\-\\-dapr\\-http\\-port"),
        (&["run"], ".TH holdfast-run 1", "HOLDFAST_FENCING_TOKEN"),
        (&["component", "run"], ".TH holdfast-component-run 1", "wasi:cli/run"),
    ] {
        let (code, page, stderr) = run(&[&["man"], command].concat());
        assert_eq!(code, 0, "{stderr}");
        assert!(page.contains(title) && page.contains(part), "{page}");
        let source = concat!("\"holdfast ", env!("CARGO_PKG_VERSION"), "\" \"Holdfast Manual\"");
        assert!(page.contains(source), "{page}");
        assert!(!page.contains(".SH EXTRA") && !page.contains("[default: ]"), "{page}");
    }
    let (_, page, _) = run(&["man", "serve"]);
    assert!(page.contains("\\fBDAPR_HTTP_PORT\\fR environment variable"), "{page}");
    let (code, _, stderr) = run(&["man", "nonsense"]);
    assert_eq!((code, stderr.as_str()), (2, "holdfast: there is no command nonsense\n"));
}
