//! Files that arguments and variables name: a device, a pipe or a missing file is refused at once, with its name.

use std::process::Command;

use holdfast_tests::{
    resources::{Resources, definition},
    temporary_dir,
};

use crate::{run, run_in};

#[test]
fn a_path_that_is_no_file_is_reported_with_its_argument_or_variable() {
    let folder = temporary_dir();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (pipe, none) = (path("pipe"), path("none"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let settings = [("redisHost", "127.0.0.1:1"), ("enableTLS", "true")];
    let redis = Resources::new(&[("store.yaml", &definition("s", "lock.redis", &settings))]);
    let check = ["check", "--resources-path", redis.path()];
    let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1");
    let missing = "No such file or directory (os error 2)";
    let irregular = "it is not a regular file";
    for (file, problem) in [
        (folder.path().to_str().unwrap(), irregular),
        (&*pipe, irregular),
        ("/dev/zero", irregular),
        (&none, missing),
    ] {
        let (code, output, stderr) = run_in(&[("SSL_CERT_FILE", file)], &check);
        let expected = format!("redis 127.0.0.1:1: SSL_CERT_FILE: cannot read {file}: {problem}");
        assert_eq!(code, 2);
        assert!(output.contains(&expected), "{output}{stderr}");

        for variable in [
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
            "SSL_CERT_FILE",
        ] {
            let (code, _, stderr) = run_in(&[collector, (variable, file)], &["serve"]);
            let expected = format!("{variable}: cannot read {file}: {problem}");
            assert_eq!(code, 1);
            assert!(stderr.contains(&expected), "{stderr}");
        }

        for command in [&["run", file][..], &["compose", file, "-o", &path("out.wasm")]] {
            let (code, _, stderr) = run(&[&["component"], command].concat());
            assert_eq!(code, 2);
            assert_eq!(stderr, format!("holdfast: cannot read {file}: {problem}\n"));
        }
    }
    let variables = [("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", &none)];
    let (code, output, stderr) = run_in(&variables, &check);
    let expected = format!("redis 127.0.0.1:1: SSL_CERT_DIR: cannot read {none}: {missing}");
    assert_eq!(code, 2);
    assert!(output.contains(&expected), "{output}{stderr}");
}
