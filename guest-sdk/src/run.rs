//! What `main` does: choose the task, read the payload, run, and say how it went. The same lines on a laptop and in a
//! host; what differs is in `host`.

use crate::context::Context;
use crate::error::TaskError;
use crate::host;

/// One task of this program.
pub struct Task {
    /// Its name.
    pub name: &'static str,
    /// Its line of the module's tasks section.
    pub policy: &'static str,
    /// Payload in, reply out.
    pub run: fn(Vec<u8>, &Context) -> Result<Vec<u8>, TaskError>,
}

/// What `#[task]` says of a function. It is implemented for a type of the function's own name, so that `run!` finds it
/// wherever the function is found.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a task",
    label = "not a task",
    note = "put `#[afresh::task]` before the function"
)]
pub trait Declared {
    /// The task.
    const TASK: Task;
}

/// Runs one of the program's tasks and returns, so that `main` ends in the ordinary way.
///
/// ```no_run
/// # #[afresh::task] fn resize() {}
/// # #[afresh::task] fn crop() {}
/// fn main() {
///     afresh::run!(resize, crop)
/// }
/// ```
///
/// It also writes the tasks' policies into the module's custom section `afresh.tasks`: what a module declares is
/// exactly what it can run.
#[macro_export]
macro_rules! run {
    () => {
        ::std::compile_error!("name the tasks that this program runs: `afresh::run!(resize, crop)`")
    };
    ($($task:ty),+ $(,)?) => {{
        $(
            const _: () = {
                #[cfg(target_family = "wasm")]
                #[unsafe(link_section = "afresh.tasks")]
                #[used]
                static LINE: [u8; $crate::__private::task::<$task>().policy.len()] =
                    $crate::__private::bytes($crate::__private::task::<$task>().policy);
            };
        )+
        $crate::__private::run(&[$($crate::__private::task::<$task>()),+])
    }};
}

/// The task that is declared for a function.
pub const fn task<T: Declared>() -> Task {
    T::TASK
}

/// The bytes of `text` as an array, which is what a custom section is made of.
///
/// # Panics
/// When `N` is not the text's length: while compiling, since that is when it is called.
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    match text.as_bytes().as_chunks() {
        ([array], []) => *array,
        _ => panic!("the array has another length than the text"),
    }
}

/// Runs the task that the host (or the command line) asks for.
pub fn run(tasks: &[Task]) {
    host::start();
    match host::chosen(tasks) {
        Ok(task) => match (task.run)(host::payload(), &Context::of_host(task.name)) {
            Ok(reply) => host::reply(&reply),
            Err(error) => error.report(),
        },
        Err(unknown) => unknown.report(),
    }
    host::end();
}

/// The task of that name.
///
/// # Errors
/// A rejection that lists the tasks there are: another attempt would find the same ones.
pub(crate) fn find<'a>(tasks: &'a [Task], name: &str) -> Result<&'a Task, TaskError> {
    tasks.iter().find(|task| task.name == name).ok_or_else(|| {
        let names: Vec<_> = tasks.iter().map(|task| task.name).collect();
        TaskError::reject(format!("there is no task `{name}` in this module; its tasks are {}", names.join(", ")))
    })
}
