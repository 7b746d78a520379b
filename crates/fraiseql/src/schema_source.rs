//! A schema, wherever it is: a project, an artifact, SDL, the result of an introspection, a server.

use std::path::Path;

use fraiseql_engine::{
    INTROSPECTION_QUERY, INTROSPECTION_QUERY_OLD, PublicSchema, Schema, introspect, sdl_of_introspection,
};
use fraiseql_model::errors;
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::files;
use crate::project::open_artifact;

/// Returns the SDL of what `source` names.
pub(crate) async fn sdl(source: &str, headers: &[String]) -> Result<String, Failure> {
    if Endpoint::is_url(source) {
        return to_sdl(&asked(source, headers).await?, source);
    }
    let path = Path::new(source);
    if path.is_dir() {
        return Ok(open_artifact(&path.join("schema.compiled.json"))?.sdl);
    }
    let text = files::read_text(path)?;
    let Ok(document) = serde_json::from_str::<Value>(&text) else { return Ok(text) };
    match document.get("sdl") {
        // Also an artifact of another version: its SDL is all that is wanted.
        Some(Value::String(sdl)) => Ok(sdl.clone()),
        _ => to_sdl(&document, source),
    }
}

/// Returns the schema of what `source` names.
pub(crate) async fn public_schema(source: &str, headers: &[String]) -> Result<PublicSchema, Failure> {
    PublicSchema::parse(&sdl(source, headers).await?).map_err(|error| {
        let hint = "name SDL, schema.compiled.json, the result of an introspection, a project or a URL";
        Failure::new(&errors::SDL_SYNTAX, format!("use {source}")).because(&error).hint(hint)
    })
}

/// Returns the introspection of a compiled project or of a server.
pub(crate) async fn introspection(source: &str, headers: &[String]) -> Result<Value, Failure> {
    if Endpoint::is_url(source) {
        return asked(source, headers).await;
    }
    let path = Path::new(source);
    let artifact = if path.is_dir() { path.join("schema.compiled.json") } else { path.to_owned() };
    let schema = Schema::load(open_artifact(&artifact)?)
        .map_err(|error| Failure::internal("load the artifact", &error))?;
    introspect(&schema).map_err(|errors| {
        let mut failure = Failure::new(&errors::RUN_INTERNAL, "introspect the schema");
        failure.causes = errors.into_iter().map(|error| error.message).collect();
        failure
    })
}

async fn asked(url: &str, headers: &[String]) -> Result<Value, Failure> {
    let endpoint = Endpoint::new(url, headers)?;
    let mut refusal = Vec::new();
    for query in [INTROSPECTION_QUERY, INTROSPECTION_QUERY_OLD] {
        let answer = endpoint.ask(query).await?;
        if answer.pointer("/data/__schema").is_some_and(|schema| !schema.is_null()) {
            return Ok(answer);
        }
        let errors = answer.get("errors").and_then(Value::as_array).into_iter().flatten();
        let messages = errors.filter_map(|error| error.get("message").and_then(Value::as_str));
        refusal = messages.map(str::to_owned).collect();
    }
    let mut failure = endpoint.failed("it does not tell its schema");
    failure.causes = refusal;
    Err(failure.hint("introspection may be switched off there: save it where it is on, and name the file"))
}

fn to_sdl(introspection: &Value, source: &str) -> Result<String, Failure> {
    sdl_of_introspection(introspection).map_err(|error| {
        let hint = "name SDL, schema.compiled.json, the result of an introspection, a project or a URL";
        Failure::new(&errors::INT_RESULT, format!("use {source}")).because(&error).hint(hint)
    })
}
