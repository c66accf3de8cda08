//! The files of `deploy/kubernetes/` for proxies fit the program, each other and the definitions of their kinds.

use std::process::Command;

use holdfast_tests::{
    holdfast::Holdfast, prepared, redis_server::RedisServer, repository, resources::Resources,
    sdk::Running,
};

use crate::deployed::{self, Options, documents, of_kind};

/// The other files are linted by `cargo xtask check`.
#[test]
fn the_custom_resources_fit_the_definitions_of_their_kinds() {
    let Some(made) = prepared("HOLDFAST_CHECKER_KUBERNETES", "definitions of custom resources")
    else {
        return;
    };
    let mut check = Command::new(made.join("venv/bin/python"));
    check.env("PYTHONDONTWRITEBYTECODE", "1").arg(repository("tests/kubernetes/check.py"));
    check.arg(made.join("modules"));
    check.args(
        ["envoy-gateway", "istio"]
            .map(|name| repository(&format!("deploy/kubernetes/{name}.yaml"))),
    );
    let checked = Running::start(check).output();
    let kinds: Vec<_> = checked.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["EnvoyExtensionPolicy", "EnvoyFilter"]);
}

#[test]
fn istios_filter_is_that_of_the_example() {
    let istio = deployed::file("kubernetes/istio.yaml");
    let istio = documents(&istio);
    let patch = &istio[0]["spec"]["configPatches"][0]["patch"]["value"];
    let example = holdfast_tests::read("examples/envoy/ext-proc.yaml");
    let cluster = "outbound|50001||holdfast-edge.default.svc.cluster.local";
    let example =
        example.replace("cluster_name: holdfast }", &format!("cluster_name: {cluster} }}"));
    let example = documents(&example);
    let listener = &example[0]["static_resources"]["listeners"][0];
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(patch, &manager["http_filters"][0]);
}

#[tokio::test]
async fn the_service_of_proxies_serves_its_edge_lock() {
    let redis = RedisServer::start_with_password("change-me");
    let (edge, lockstore) =
        (deployed::file("kubernetes/edge.yaml"), deployed::file("kubernetes/lockstore.yaml"));
    let (edge, lockstore) = (documents(&edge), documents(&lockstore));
    let resources = Resources::new(&[]);
    for map in [of_kind(&edge, "ConfigMap"), of_kind(&lockstore, "ConfigMap")] {
        for (name, content) in map["data"].as_mapping().unwrap() {
            let content = content.as_str().unwrap().replace("redis:6379", &redis.address());
            resources.write(name.as_str().unwrap(), &content);
        }
    }
    let pod = &of_kind(&edge, "Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let arguments = container["args"].as_vec().unwrap();
    let options = Options::parse(arguments.iter().map(|argument| argument.as_str().unwrap()));
    let mounted = pod["volumes"][0]["projected"]["sources"].as_vec().unwrap().iter();
    let mounted: Vec<_> = mounted.map(|source| &source["configMap"]["name"]).collect();
    let maps = [&lockstore, &edge].map(|file| &of_kind(file, "ConfigMap")["metadata"]["name"]);
    assert_eq!(mounted, maps);
    let grace = options.number("--dapr-graceful-shutdown-seconds");
    assert!(pod["terminationGracePeriodSeconds"].as_integer().unwrap() > grace + 5);

    let port = &of_kind(&edge, "Service")["spec"]["ports"][0];
    let named = container["ports"].as_vec().unwrap().iter();
    let named = named.map(|port| (&port["name"], port["containerPort"].as_integer()));
    let target = named.clone().find(|(name, _)| **name == port["targetPort"]).unwrap();
    assert_eq!(target.1, Some(options.number("--dapr-grpc-port")));
    assert_eq!(port["port"].as_integer(), target.1);

    let mut command = options.serve(resources.path());
    command.env("REDIS_PASSWORD", "change-me");
    command.envs([("POD_NAME", "edge-0"), ("NAMESPACE", "default")]);
    let holdfast = Holdfast::start_ready(command);
    holdfast.wait_for("serving the edge lock reports in the store lockstore");
}
