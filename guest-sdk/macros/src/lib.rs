//! The `#[task]` attribute of the Afresh SDK. Use it as `afresh::task`.
//!
//! * `policy`: what stands in the brackets
//! * `function`: what kind of function can be a task

mod function;
mod policy;

use proc_macro2::TokenStream;
use quote::quote;

use function::TaskFunction;
use policy::Policy;

/// Makes a function a task that `afresh::run!` can run.
///
/// The function stays as it is: tests call it, and so may other code. It takes the job, the context (`&Context`),
/// both in this order, or nothing; see the crate's page for what a job and a reply may be.
///
/// What the task asks for stands in the brackets, all of it optional. It travels in the module; the operator's
/// configuration can only tighten it, and absent means the host's default.
///
/// | key | example | meaning |
/// |---|---|---|
/// | `name` | `"log-report"` | the task's name, where it is not the function's |
/// | `max_attempts` | `5` | how many attempts a job may start |
/// | `timeout` | `"30s"` | how long one attempt may take |
/// | `memory` | `"64MiB"` | linear memory of one attempt |
/// | `fuel` | `1_000_000_000` | instructions of one attempt, about |
/// | `min_backoff` | `"1s"` | the shortest wait before a retry |
/// | `max_backoff` | `"10min"` | the longest wait before a retry |
/// | `env` | `["LANG"]` | environment variables it wants |
/// | `secrets` | `["API_KEY"]` | secrets it wants, as environment variables |
/// | `folders` | `["/models"]` | folders it wants to read |
/// | `scratch` | `"16MiB"` | what it wants to write into `/scratch`, a folder that is gone with the attempt |
/// | `enqueue` | `["mail"]` | queues it wants to enqueue into |
///
/// The last five give nothing by themselves: they tell the operator what to grant, under `[tasks.NAME]`.
#[proc_macro_attribute]
pub fn task(policy: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let item = TokenStream::from(item);
    // Whatever is wrong, the function stays, so that the one error is not followed by others about its absence.
    let declaration = declare(policy.into(), item.clone()).unwrap_or_else(syn::Error::into_compile_error);
    quote!(#item #declaration).into()
}

/// What stands beside the function: a type of its name that holds what `run!` needs. Functions and types have
/// namespaces of their own, and a `use` brings both.
fn declare(policy: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let function = TaskFunction::parse(item)?;
    let policy = Policy::parse(policy, &function.name)?.into_task_policy();
    let (name, line) = (&policy.task, policy.to_line());
    let TaskFunction { visibility, name: ident, job, takes_context, .. } = &function;

    // A task may be called `run`, `payload` or `context`, so none of these names may stand between it and its call.
    let decoded = job.as_ref().map(|job| quote!(::afresh::__private::decode::<#job>(__afresh_payload)?,));
    let context = takes_context.then(|| quote!(__afresh_context));
    Ok(quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, reason = "it stands for the function of its name")]
        #visibility struct #ident {}

        impl ::afresh::__private::Declared for #ident {
            const TASK: ::afresh::__private::Task = {
                #[allow(unused_variables, clippy::unit_arg, reason = "a task need not take a job or a context")]
                fn __afresh_run(
                    __afresh_payload: ::std::vec::Vec<u8>,
                    __afresh_context: &::afresh::Context,
                ) -> ::std::result::Result<::std::vec::Vec<u8>, ::afresh::TaskError> {
                    #[allow(unused_imports, reason = "a task that returns a `Result` does without")]
                    use ::afresh::__private::Plain as _;
                    ::afresh::__private::Returned(#ident(#decoded #context)).encode()
                }
                ::afresh::__private::Task { name: #name, policy: #line, run: __afresh_run }
            };
        }
    })
}
