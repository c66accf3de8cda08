//! The files of `deploy/kubernetes/` fit the program and each other.

use std::{
    net::{Ipv6Addr, TcpListener},
    process::Output,
};

use holdfast_tests::{
    holdfast::{Holdfast, command},
    redis_cluster::{ClusterOptions, RedisCluster},
    redis_server::RedisServer,
    resources::Resources,
    sentinel_group::{SentinelGroup, SentinelOptions},
};
use rustix::process::Signal;
use saphyr::Yaml;

use crate::{
    HOLDFAST,
    deployed::{self, Options, documents, of_kind},
};

/// How long stores may take to close after the grace period, in seconds.
const CLOSING: i64 = 5;

fn lockstore() -> String {
    deployed::file("kubernetes/lockstore.yaml")
}

fn text<'a>(value: &'a Yaml) -> &'a str {
    value.as_str().unwrap_or_else(|| panic!("{value:?} is no string"))
}

fn list<'a, 'b>(value: &'a Yaml<'b>) -> &'a [Yaml<'b>] {
    value.as_vec().unwrap_or_else(|| panic!("{value:?} is no list"))
}

/// The element of a list that has this name.
fn named<'a, 'b>(elements: &'a Yaml<'b>, name: &str) -> &'a Yaml<'b> {
    list(elements).iter().find(|element| text(&element["name"]) == name).unwrap()
}

/// The component files of the config map, with another server.
fn resources(redis: &str) -> Resources {
    resources_of("lockstore.yaml", "redis:6379", redis)
}

/// The component files of the config map of a file, with the server `to` in place of `from`.
fn resources_of(file: &str, from: &str, to: &str) -> Resources {
    let resources = Resources::new(&[]);
    let file = deployed::file(&format!("kubernetes/{file}"));
    let documents = documents(&file);
    let files = of_kind(&documents, "ConfigMap")["data"].as_mapping().unwrap();
    for (name, content) in files {
        let content = text(content);
        assert!(content.contains(from));
        resources.write(text(name), &content.replace(from, to));
    }
    resources
}

#[test]
fn the_component_file_uses_the_password_of_the_secret() {
    let redis = RedisServer::start_with_password("change-me");
    let resources = resources(&redis.address());
    let check = |password: &str| {
        let mut check = command(HOLDFAST);
        check.args(["check", "--resources-path", resources.path()]);
        let Output { status, stdout, .. } = check.env("REDIS_PASSWORD", password).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap())
    };
    let (code, table) = check("change-me");
    assert_eq!(code, 0, "{table}");
    assert!(table.lines().nth(1).unwrap().starts_with("lockstore"), "{table}");
    let (code, table) = check("another");
    assert_eq!(code, 2, "{table}");
    assert!(table.contains("WRONGPASS"), "{table}");
}

#[tokio::test]
async fn the_sidecars_arguments_ports_and_probes_agree() {
    let redis = RedisServer::start_with_password("change-me");
    let resources = resources(&redis.address());
    for (file, containers) in
        [("sidecar.yaml", "containers"), ("native-sidecar.yaml", "initContainers")]
    {
        let file = deployed::file(&format!("kubernetes/{file}"));
        let documents = documents(&file);
        let template = &of_kind(&documents, "Deployment")["spec"]["template"];
        let pod = &template["spec"];
        let container = named(&pod[containers], "holdfast");
        let options = Options::parse(list(&container["args"]).iter().map(text));

        let port = |name: &str| named(&container["ports"], name)["containerPort"].as_integer();
        for (name, option) in [
            ("dapr-http", "--dapr-http-port"),
            ("dapr-grpc", "--dapr-grpc-port"),
            ("dapr-public", "--dapr-public-port"),
            ("dapr-metrics", "--metrics-port"),
        ] {
            assert_eq!(port(name), Some(options.number(option)), "{name}");
        }
        let annotations = &template["metadata"]["annotations"];
        assert_eq!(text(&annotations["prometheus.io/port"]), options.value("--metrics-port"));

        let grace = options.number("--dapr-graceful-shutdown-seconds") + CLOSING;
        assert!(pod["terminationGracePeriodSeconds"].as_integer().unwrap() > grace);
        let mount = &list(&container["volumeMounts"])[0];
        assert_eq!(text(&mount["mountPath"]), options.value("--resources-path"));

        let mut command = options.serve(resources.path());
        command.envs([("REDIS_PASSWORD", "change-me"), ("DAPR_API_TOKEN", "change-me")]);
        command.envs([("POD_NAME", "app1-0"), ("NAMESPACE", "default")]);
        let mut holdfast = Holdfast::start_ready(command);
        let port = |address: String| address.rsplit_once(':').unwrap().1.to_owned();
        let (public, metrics) = (port(holdfast.public()), port(holdfast.metrics()));
        // A pod may have addresses of one kind only.
        for host in hosts() {
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let probe = &container[probe]["httpGet"];
                assert_eq!(text(&probe["port"]), "dapr-public");
                let url = format!("http://{host}:{public}{}", text(&probe["path"]));
                assert_eq!(reqwest::get(url).await.unwrap().status(), 204);
            }
            let path = text(&annotations["prometheus.io/path"]);
            let url = format!("http://{host}:{metrics}{path}");
            assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
        }
        assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    }
}

/// The loopback addresses of this machine, which may have no IPv6.
fn hosts() -> impl Iterator<Item = &'static str> {
    let ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    ["127.0.0.1"].into_iter().chain(ipv6.then_some("[::1]"))
}

#[test]
fn the_objects_that_the_sidecars_refer_to_exist() {
    let file = lockstore();
    let lockstore = documents(&file);
    let config_map = &of_kind(&lockstore, "ConfigMap")["metadata"]["name"];
    let secret = of_kind(&lockstore, "Secret");
    for (file, containers) in
        [("sidecar.yaml", "containers"), ("native-sidecar.yaml", "initContainers")]
    {
        let file = deployed::file(&format!("kubernetes/{file}"));
        let documents = documents(&file);
        let pod = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"];
        let holdfast = named(&pod[containers], "holdfast");
        let volume = text(&list(&holdfast["volumeMounts"])[0]["name"]);
        assert_eq!(&named(&pod["volumes"], volume)["configMap"]["name"], config_map);
        let variables = list(&holdfast["env"]).iter();
        let variables = variables.chain(list(&named(&pod["containers"], "app")["env"]));
        let mut secrets = 0;
        for variable in variables {
            let source = &variable["valueFrom"];
            if let Some(reference) = source.as_mapping_get("secretKeyRef") {
                assert_eq!(reference["name"], secret["metadata"]["name"]);
                assert!(secret["stringData"].contains_mapping_key(text(&reference["key"])));
                secrets += 1;
            }
        }
        assert_eq!(secrets, 3);
    }
}

/// Which component a text of resource files has, and what each reference in it names.
fn components(text_of_files: &str) -> (Vec<String>, Vec<String>) {
    let documents = documents(text_of_files);
    let name = |document: &Yaml| text(&document["metadata"]["name"]).to_owned();
    let settings =
        documents.iter().filter_map(|document| document["spec"].as_mapping_get("metadata"));
    let references = settings.flat_map(|settings| list(settings));
    let references = references.filter_map(|setting| setting.as_mapping_get("secretKeyRef"));
    let mut references: Vec<_> =
        references.map(|reference| text(&reference["key"]).to_owned()).collect();
    references.dedup();
    (documents.iter().map(name).collect(), references)
}

#[test]
fn the_component_files_for_more_servers_replace_the_others() {
    let ordinary = lockstore();
    let ordinary = documents(&ordinary);
    let ordinary = of_kind(&ordinary, "ConfigMap");
    let content = |map: &Yaml| text(&map["data"]["lockstore.yaml"]).to_owned();
    for name in ["sentinel", "cluster"] {
        let file = deployed::file(&format!("kubernetes/lockstore-{name}.yaml"));
        let documents = documents(&file);
        let [map] = &documents[..] else { panic!("{} documents", documents.len()) };
        assert_eq!(map["metadata"], ordinary["metadata"]);
        assert_eq!(map["data"].as_mapping().unwrap().len(), 1);
        assert_eq!(components(&content(map)), components(&content(ordinary)));
    }
}

#[test]
fn the_native_sidecar_is_the_same_container() {
    let [ordinary, native] = ["sidecar", "native-sidecar"]
        .map(|name| deployed::file(&format!("kubernetes/{name}.yaml")));
    let [ordinary, native] = [&ordinary, &native].map(|text| documents(text));
    let pod = |documents| of_kind(documents, "Deployment")["spec"]["template"]["spec"].clone();
    let ordinary = named(&pod(&ordinary)["containers"], "holdfast").clone();
    let mut native = named(&pod(&native)["initContainers"], "holdfast").clone();
    let removed = native.as_mapping_mut().unwrap().remove(&Yaml::value_from_str("restartPolicy"));
    assert_eq!(removed.as_ref().map(text), Some("Always"));
    assert_eq!(native, ordinary);
}

#[tokio::test]
async fn the_component_files_for_more_servers_work() {
    let password = "change-me".to_owned();
    let sentinels = SentinelGroup::start_with(SentinelOptions {
        password: Some(password.clone()),
        sentinel_password: Some(password.clone()),
        ..SentinelOptions::default()
    })
    .await;
    let options = ClusterOptions { password: Some(password.clone()), ..ClusterOptions::default() };
    let cluster = RedisCluster::start_with(options).await;
    for (file, from, to) in [
        ("lockstore-sentinel.yaml", "redis:26379", &sentinels.addresses()[0]),
        ("lockstore-cluster.yaml", "redis-cluster:6379", &cluster.addresses()[0]),
    ] {
        let resources = resources_of(file, from, to);
        let mut check = command(HOLDFAST);
        check.args(["check", "--resources-path", resources.path()]);
        let Output { status, stdout, .. } =
            check.env("REDIS_PASSWORD", &password).output().unwrap();
        let table = String::from_utf8(stdout).unwrap();
        assert_eq!(status.code(), Some(0), "{table}");
    }
}
