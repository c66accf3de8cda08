//! The templates in values of settings.

use uuid::Uuid;

/// The values of templates in this process.
pub(super) struct Templates {
    /// The application's id; empty for none.
    pub(super) app_id: String,
    /// The value of `NAMESPACE`, or `default`.
    pub(super) namespace: String,
    /// The value of `POD_NAME`, or empty.
    pub(super) pod_name: String,
}

impl Templates {
    /// Fills in `{uuid}` (a new one each time), `{podName}`, `{namespace}` and `{appID}`.
    /// `{namespace}` is `<namespace>.<app id>`, as in Dapr 1.18 (`pkg/runtime/meta/meta.go`).
    ///
    /// # Errors
    ///
    /// If the value contains `{podName}`, and the process has no pod name.
    pub(super) fn fill(&self, mut value: String) -> Result<String, &'static str> {
        while value.contains("{uuid}") {
            value = value.replacen("{uuid}", &Uuid::new_v4().to_string(), 1);
        }
        if value.contains("{podName}") {
            if self.pod_name.is_empty() {
                return Err(
                    "refers to {podName}, but the environment variable POD_NAME is not set",
                );
            }
            value = value.replace("{podName}", &self.pod_name);
        }
        Ok(value
            .replace("{namespace}", &format!("{}.{}", self.namespace, self.app_id))
            .replace("{appID}", &self.app_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(pod_name: &str) -> Templates {
        Templates { app_id: "app1".into(), namespace: "prod".into(), pod_name: pod_name.into() }
    }

    #[test]
    fn templates_are_filled_wherever_they_stand() {
        let filled = templates("pod-0")
            .fill("{appID}/{namespace}/{podName}/{podName}/{other}{".into())
            .unwrap();
        assert_eq!(filled, "app1/prod.app1/pod-0/pod-0/{other}{");
    }

    #[test]
    fn every_uuid_is_a_new_one() {
        let filled = templates("").fill("{uuid}/{uuid}".into()).unwrap();
        let (first, second) = filled.split_once('/').unwrap();
        assert_ne!(first, second);
        assert_eq!(Uuid::parse_str(first).unwrap().get_version_num(), 4);
    }

    #[test]
    fn a_pod_name_that_is_not_known_is_an_error() {
        assert!(templates("").fill("{podName}".into()).is_err());
    }
}
