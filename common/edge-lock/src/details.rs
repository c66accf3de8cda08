//! Where a response comes from, as the proxy reports it.

/// Whether the proxy made the response because it gave up waiting for the upstream, which may still work. `details` are
/// Envoy's details of a response code, such as `via_upstream` or `response_timeout` (Envoy 1.40,
/// `envoy/stream_info/stream_info.h`).
pub fn gave_up(details: &str) -> bool {
    ["timeout", "max_stream_duration"].iter().any(|word| details.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_that_is_over_is_giving_up() {
        for (details, expected) in [
            ("via_upstream", false),
            ("upstream_reset_before_response_started{connection_termination}", false),
            ("no_healthy_upstream", false),
            ("", false),
            ("response_timeout", true),
            ("upstream_per_try_timeout", true),
            ("stream_idle_timeout", true),
            ("upstream_max_stream_duration_reached", true),
        ] {
            assert_eq!(gave_up(details), expected, "{details}");
        }
    }
}
