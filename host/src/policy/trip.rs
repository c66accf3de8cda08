//! When a circuit breaker opens: a CEL expression over its counts.
//!
//! The variables are those of Dapr 1.18 (`pkg/resiliency/breaker`). As in Dapr, an expression without a boolean result
//! never opens the breaker.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    thread,
};

use cel::{
    Context, Env, IdedExpr, Program, Value,
    common::ast::{EntryExpr, Expr, IdedEntryExpr},
};

use super::counts::Counts;

/// The longest expression, in bytes.
const MAX_EXPRESSION_BYTES: usize = 256;

/// How many levels deep an expression may nest, so that its evaluation fits any stack.
const MAX_EXPRESSION_DEPTH: usize = 16;

/// The stack of the parser, in bytes.
const PARSER_STACK: usize = 64 << 20;

/// The variables of expressions.
const VARIABLES: [&str; 5] =
    ["requests", "totalSuccesses", "totalFailures", "consecutiveSuccesses", "consecutiveFailures"];

static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A condition on a breaker's counts, as in `consecutiveFailures > 5`.
#[derive(Clone)]
pub struct Trip {
    text: Arc<str>,
    program: Arc<Program>,
}

/// Why a text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TripError(String);

impl Trip {
    /// Reads an expression in the Common Expression Language, at most 256 bytes long and nested
    /// at most 16 levels deep.
    ///
    /// It may use `requests`, `totalSuccesses`, `totalFailures`, `consecutiveSuccesses` and `consecutiveFailures`:
    /// whole numbers that count since the breaker last changed its state or cleared its counts.
    ///
    /// # Errors
    ///
    /// If the text is too long or nests too deeply, or is not an expression.
    pub fn parse(text: &str) -> Result<Self, TripError> {
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(TripError(format!("is longer than {MAX_EXPRESSION_BYTES} bytes")));
        }
        let program = compile(text)
            .map_err(|cause| TripError(format!("is not a CEL expression: {cause}")))?;
        Ok(Self { text: text.into(), program: Arc::new(program) })
    }

    /// Whether the breaker opens. An expression without a boolean value never opens it.
    pub(super) fn holds(&self, counts: &Counts) -> bool {
        matches!(self.value(counts), Ok(Value::Bool(true)))
    }

    /// Why the expression probably does not do what its author expects, if this can be seen. Only expressions from
    /// files are checked.
    #[cfg(any(feature = "resources", test))]
    pub(crate) fn doubt(&self) -> Option<String> {
        let references = self.program.references();
        let mut bound = Vec::from(VARIABLES);
        collect_bound(self.program.expression(), &mut bound);
        if let Some(name) = references.variables().iter().filter(|name| !bound.contains(name)).min()
        {
            return Some(format!("unknown count {name} (the counts are {})", VARIABLES.join(", ")));
        }
        // Example counts after a failure. A division by them fails only if it always fails.
        let counts = Counts {
            requests: 10,
            total_successes: 4,
            total_failures: 6,
            consecutive_successes: 0,
            consecutive_failures: 6,
        };
        match self.value(&counts) {
            Ok(Value::Bool(_)) => None,
            Ok(_) => Some("it is neither true nor false, so it never opens".to_owned()),
            Err(cause) => Some(format!("it has no value, so it never opens: {cause}")),
        }
    }

    fn value(&self, counts: &Counts) -> Result<Value, cel::ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        let values = [
            counts.requests,
            counts.total_successes,
            counts.total_failures,
            counts.consecutive_successes,
            counts.consecutive_failures,
        ];
        for (name, value) in VARIABLES.into_iter().zip(values) {
            context.add_variable_from_value(name, i64::from(value));
        }
        self.program.execute(&context)
    }
}

/// Compiles on a new thread, because the recursive parser needs more stack than a worker has.
fn compile(text: &str) -> Result<Program, String> {
    let parse = || {
        let program = Program::compile(text).map_err(|errors| {
            let first = errors.errors.first().map(|error| error.msg.lines().next());
            first.flatten().unwrap_or("it cannot be read").trim().to_owned()
        })?;
        if is_within(program.expression(), MAX_EXPRESSION_DEPTH) {
            return Ok(program);
        }
        Err(format!("it nests more than {MAX_EXPRESSION_DEPTH} levels deep"))
    };
    thread::scope(|scope| {
        let parsing = thread::Builder::new().stack_size(PARSER_STACK).spawn_scoped(scope, parse);
        let parsing = parsing.map_err(|error| format!("no thread to parse it: {error}"))?;
        parsing.join().unwrap_or_else(|_| Err("the parser gave up".to_owned()))
    })
}

fn is_within(expression: &IdedExpr, levels: usize) -> bool {
    levels > 0 && parts(expression).into_iter().all(|part| is_within(part, levels - 1))
}

/// Collects the names that macros in the expression bind, as in `list.exists(name, …)`.
#[cfg(any(feature = "resources", test))]
fn collect_bound<'e>(expression: &'e IdedExpr, names: &mut Vec<&'e str>) {
    if let Expr::Comprehension(each) = &expression.expr {
        names.extend(
            [&each.iter_var, &each.accu_var].into_iter().chain(&each.iter_var2).map(String::as_str),
        );
    }
    for part in parts(expression) {
        collect_bound(part, names);
    }
}

/// The direct parts of an expression.
fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    fn of_entry(entry: &IdedEntryExpr) -> Vec<&IdedExpr> {
        match &entry.expr {
            EntryExpr::StructField(field) => vec![&field.value],
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        }
    }
    match &expression.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(each) => {
            vec![&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(of_entry).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Struct(fields) => fields.entries.iter().flat_map(of_entry).collect(),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

impl fmt::Debug for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trip").field(&self.text).finish()
    }
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(requests: u32, failures: u32, in_a_row: u32) -> Counts {
        Counts {
            requests,
            total_successes: requests - failures,
            total_failures: failures,
            consecutive_successes: 0,
            consecutive_failures: in_a_row,
        }
    }

    #[test]
    fn conditions_hold_or_not() {
        for (text, counts, holds) in [
            ("consecutiveFailures >= 5", counts(5, 5, 5), true),
            ("consecutiveFailures > 5", counts(5, 5, 5), false),
            ("consecutiveFailures > 5", counts(6, 6, 6), true),
            ("requests >= 10 && totalFailures * 2 > requests", counts(10, 6, 1), true),
            ("requests >= 10 && totalFailures * 2 > requests", counts(10, 5, 1), false),
            ("double(totalFailures) / double(requests) >= 0.6", counts(10, 6, 1), true),
            ("totalSuccesses == 4 && consecutiveSuccesses == 0", counts(10, 6, 6), true),
            ("consecutiveFailures in [3, 6]", counts(10, 6, 6), true),
            ("requests > 5 ? totalFailures > 2 : false", counts(6, 3, 1), true),
            ("true", counts(1, 1, 1), true),
            ("totalFailures", counts(1, 1, 1), false),
            ("totalFailures / (requests - 1) > 0", counts(1, 1, 1), false),
            ("failures > 1", counts(9, 9, 9), false),
            ("failures > 1 || consecutiveFailures > 1", counts(9, 9, 9), true),
        ] {
            assert_eq!(Trip::parse(text).unwrap().holds(&counts), holds, "{text}");
        }
    }

    #[test]
    fn an_invalid_expression_is_refused() {
        let deep = format!("{}1{}", "(".repeat(127), ")".repeat(127));
        let long = format!("consecutiveFailures > {}", "1".repeat(MAX_EXPRESSION_BYTES));
        for text in ["", "consecutiveFailures >", "> 5", "a b", "(1", "1 +* 2", &deep, &long] {
            let error = Trip::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("is "), "{text:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{text:?}: {error}");
        }
    }

    #[test]
    fn the_deepest_expressions_fit_the_stack_of_a_worker() {
        for text in [
            format!("{}true", "!".repeat(252)),
            format!("{}1", "-".repeat(255)),
            format!("1{}", "+1".repeat(127)),
            format!("{}true", "true?true:".repeat(25)),
            format!("{}1{}", "[".repeat(90), "]".repeat(90)),
            format!("{}1{}", "(".repeat(90), ")".repeat(90)),
            format!("{}1{}", "{1:".repeat(60), "}".repeat(60)),
            format!("{}1{}", "size(".repeat(40), ")".repeat(40)),
            format!("{}1{}", "[1].map(x,".repeat(22), ")".repeat(22)),
            format!("{}1{}", "[1].all(x,".repeat(22), ")".repeat(22)),
            format!("a{}", ".b".repeat(127)),
            format!("[1]{}", "[0]".repeat(84)),
            format!("true{}", "||true".repeat(42)),
        ] {
            if let Ok(trip) = Trip::parse(&text) {
                trip.doubt();
                trip.holds(&counts(1, 1, 1));
            }
        }
    }

    #[test]
    fn what_never_opens_is_doubted() {
        for (text, doubt) in [
            ("failures > 1", Some("unknown count failures")),
            ("totalFailures", Some("neither true nor false")),
            ("totalFailures > 'a'", Some("it has no value")),
            ("never()", Some("it has no value")),
            ("consecutiveFailures > 5", None),
            ("totalFailures / requests >= 1", None),
            ("[1, 2].exists(n, n == consecutiveFailures)", None),
        ] {
            let found = Trip::parse(text).unwrap().doubt();
            match doubt {
                Some(doubt) => assert!(
                    found.as_ref().is_some_and(|it| it.contains(doubt)),
                    "{text}: {found:?}"
                ),
                None => assert_eq!(found, None, "{text}"),
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "([a-z()\\[\\]{}.,:?!<>=&|+*/%'\"0-9 -]|requests|consecutiveFailures| in |has\\(|\\.map\\(){0,40}") {
            if let Ok(trip) = Trip::parse(&text) {
                trip.doubt();
            }
        }

        #[test]
        fn never_panics_on_any_text(text in "\\PC{0,40}") {
            if let Ok(trip) = Trip::parse(&text) {
                trip.doubt();
            }
        }
    }
}
