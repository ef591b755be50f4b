//! What kind of function can be a task: `fn(job: T, ctx: &Context) -> R`, where the job, the context, or both may be
//! left out.

use proc_macro2::{Span, TokenStream};
use syn::{FnArg, Ident, ItemFn, Signature, Type, TypeReference, Visibility};

/// A function that can be a task.
pub(crate) struct TaskFunction {
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) job: Option<Type>,
    pub(crate) takes_context: bool,
}

impl TaskFunction {
    pub(crate) fn parse(item: TokenStream) -> syn::Result<Self> {
        let start = item.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        let ItemFn { vis, sig, .. } =
            syn::parse2(item).map_err(|_| syn::Error::new(start, "`#[task]` stands before a function with a body"))?;
        check_qualifiers(&sig)?;
        let (job, takes_context) = arguments(&sig)?;
        Ok(Self { visibility: vis, name: sig.ident, job, takes_context })
    }
}

fn check_qualifiers(sig: &Signature) -> syn::Result<()> {
    if let Some(token) = &sig.asyncness {
        let message = "a task is not `async`: it has its instance to itself, so there is nothing to run beside it; \
                       remove `async`";
        return Err(syn::Error::new_spanned(token, message));
    }
    if let Some(token) = &sig.abi {
        return Err(syn::Error::new_spanned(token, "a task is an ordinary Rust function; remove `extern`"));
    }
    if !sig.generics.params.is_empty() {
        let message = "a task has no generics: the host could not say which type it means; name the types";
        return Err(syn::Error::new_spanned(&sig.generics, message));
    }
    Ok(())
}

/// The job's type, where there is one, and whether there is a context.
fn arguments(sig: &Signature) -> syn::Result<(Option<Type>, bool)> {
    let types = sig.inputs.iter().map(argument_type).collect::<syn::Result<Vec<_>>>()?;
    match types.as_slice() {
        [] => Ok((None, false)),
        [Type::Reference(reference)] if !is_borrowed_data(reference) => Ok((None, true)),
        [job] => Ok((Some(owned(job)?), false)),
        [job, Type::Reference(_)] => Ok((Some(owned(job)?), true)),
        [_, other] => Err(syn::Error::new_spanned(other, "the second argument of a task is the context, `&Context`")),
        [_, _, third, ..] => {
            let message = "a task takes the job and the context, and no more; put the rest into the job's type";
            Err(syn::Error::new_spanned(third, message))
        }
    }
}

fn argument_type(argument: &FnArg) -> syn::Result<&Type> {
    match argument {
        FnArg::Receiver(receiver) => {
            let message = "a task is a free function: its instance is new, so there is no `self` to call it on";
            Err(syn::Error::new_spanned(receiver, message))
        }
        FnArg::Typed(argument) => Ok(&argument.ty),
    }
}

fn owned(job: &Type) -> syn::Result<Type> {
    match job {
        Type::Reference(_) => {
            let message = "the job is taken by value: `Vec<u8>` for the raw payload, else a type that implements \
                           `Deserialize`";
            Err(syn::Error::new_spanned(job, message))
        }
        Type::ImplTrait(_) => Err(syn::Error::new_spanned(job, "a task has no generics; name the job's type")),
        _ => Ok(job.clone()),
    }
}

/// Whether a lone reference is an attempt at borrowing the payload and not the context.
fn is_borrowed_data(reference: &TypeReference) -> bool {
    match &*reference.elem {
        Type::Path(path) => path.path.is_ident("str"),
        _ => true,
    }
}
