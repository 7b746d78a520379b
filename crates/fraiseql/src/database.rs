//! Where the configured database is and how to get in, with secrets followed and kept good.

use std::sync::{Arc, Mutex, PoisonError};

use fraiseql_model::errors;
use fraiseql_model::secret::{Secret, SecretRef, SecretSource};
use fraiseql_model::settings::Settings;
use fraiseql_postgres::{Pool, Target};
use fraiseql_secret::{Found, Keeper, KeeperEvent, KeeperView, Login, Resolver, SecretError};

use crate::failure::Failure;
use crate::log::Log;
use crate::secrets::{patience, resolver, value};

/// The configured database.
#[derive(Debug)]
pub(crate) struct Access {
    places: Places,
    current: Arc<Mutex<Entry>>,
    kept: Option<(Keeper, Wanted)>,
    resolver: Arc<Resolver>,
}

/// What is taken out of the secret that is kept.
#[derive(Clone, Debug)]
enum Wanted {
    Password(SecretRef),
    Login,
}

/// Is told, in one sentence, what takes time.
pub(crate) type Say<'s> = &'s (dyn Fn(&str) + Sync);

/// The connection strings, which may hold a login that is replaced.
#[derive(Clone, Debug)]
struct Places {
    url: Secret,
    direct: Option<Secret>,
    replicas: Vec<Secret>,
}

/// The login of now.
#[derive(Clone, Debug)]
struct Entry {
    target: Target,
    direct: Option<Target>,
    replicas: Vec<Target>,
}

/// What takes the place of the login in the connection string.
enum Replaced {
    Nothing,
    Password(Secret),
    Login(Login),
}

impl Wanted {
    fn of(&self, found: &Found) -> Result<Replaced, SecretError> {
        match self {
            Self::Password(reference) => found.take(reference.key()).map(Replaced::Password),
            Self::Login => found.login().map(Replaced::Login),
        }
    }
}

impl Access {
    /// Follows the references of the database's settings; `None` when no database is configured.
    ///
    /// Waits for a store that is away as long as `secrets.start_timeout_ms` says, and says so.
    pub(crate) async fn open(settings: &Settings, say: Say<'_>) -> Result<Option<Self>, Failure> {
        if settings.text("database.url").is_none() {
            return Ok(None);
        }
        let resolver = resolver(settings)?;
        let Some(url) = value(&resolver, settings, "database.url").await? else { return Ok(None) };
        let direct = value(&resolver, settings, "database.direct_url").await?;
        let replicas = value(&resolver, settings, "database.replicas").await?;
        let replicas = replicas.iter().flat_map(|urls| urls.expose().split_whitespace());
        let replicas = replicas.map(|url| Secret::new(url.to_owned())).collect();
        let places = Places { url, direct, replicas };
        let (replaced, kept) = login(&resolver, settings, say).await?;
        let current = Arc::new(Mutex::new(places.entry(&replaced)?));
        Ok(Some(Self { places, current, kept, resolver }))
    }

    /// Returns where requests go.
    pub(crate) fn target(&self) -> Target {
        locked(&self.current).target
    }

    /// Returns where work goes that needs a session of its own, when that is configured.
    pub(crate) fn direct(&self) -> Option<Target> {
        locked(&self.current).direct
    }

    /// Returns the replicas to read from.
    pub(crate) fn replicas(&self) -> Vec<Target> {
        locked(&self.current).replicas
    }

    /// Returns what shows the status of the secret in use; `None` when there is none.
    pub(crate) fn view(&self) -> Option<KeeperView> {
        self.kept.as_ref().map(|(keeper, _)| keeper.view())
    }

    /// Returns what always knows the direct target, or the only one, with the login of then.
    pub(crate) fn for_control(&self) -> impl Fn() -> Target + Send + Sync + use<> {
        let current = Arc::clone(&self.current);
        move || {
            let entry = locked(&current);
            entry.direct.unwrap_or(entry.target)
        }
    }

    /// Keeps the login good for as long as it is polled: renews, and gives the pools new ones in time.
    ///
    /// `beside` are pools of replicas, by their place, and further ones of the primary.
    pub(crate) async fn keep(self, pool: Pool, beside: Vec<(Option<usize>, Pool)>, log: Log) {
        let Some((keeper, wanted)) = self.kept else { return std::future::pending().await };
        let (places, current) = (self.places, self.current);
        let apply = move |found: &Found| {
            let replaced = wanted.of(found)?;
            let wrong = |failure: Failure| SecretError::Value {
                reference: found.reference.clone(),
                reason: failure.message,
            };
            let entry = places.entry(&replaced).map_err(wrong)?;
            let (target, replicas) = (entry.target.clone(), entry.replicas.clone());
            *current.lock().unwrap_or_else(PoisonError::into_inner) = entry;
            // The pooler in front stays what it was.
            let retarget = |pool: &Pool, target: &Target| {
                pool.retarget(target.clone().through(pool.target().pooler()));
            };
            retarget(&pool, &target);
            for (place, pool) in &beside {
                let target = place.map_or(Some(&target), |place| replicas.get(place));
                target.into_iter().for_each(|target| retarget(pool, target));
            }
            Ok(())
        };
        keeper.run(apply, |event| tell(&log, &event)).await;
    }

    /// Returns the resolver, to give leases back with.
    pub(crate) fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }
}

/// Returns the target for one command: the direct one where there is one. `None` when no database is
/// configured.
pub(crate) async fn control_target(settings: &Settings, say: Say<'_>) -> Result<Option<Target>, Failure> {
    Ok(Access::open(settings, say).await?.map(|access| access.for_control()()))
}

fn locked(current: &Mutex<Entry>) -> Entry {
    current.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn login(
    resolver: &Arc<Resolver>,
    settings: &Settings,
    say: Say<'_>,
) -> Result<(Replaced, Option<(Keeper, Wanted)>), Failure> {
    let (reference, wanted) =
        match (settings.secret("database.credentials"), settings.secret("database.password")) {
            (None, None) => return Ok((Replaced::Nothing, None)),
            (None, Some(SecretSource::Plain(password))) => return Ok((Replaced::Password(password), None)),
            (None, Some(SecretSource::Reference(reference))) => {
                (reference.clone(), Wanted::Password(reference))
            }
            (Some(SecretSource::Reference(reference)), None) => (reference, Wanted::Login),
            (Some(SecretSource::Plain(_)), _) => {
                let message = "use database.credentials: it is no reference, and it must be one";
                let hint = "database.credentials = \"secret://vault/database/creds/shop\"";
                return Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint(hint));
            }
            (Some(_), Some(_)) => {
                let message =
                    "use both database.credentials and database.password: each of them is a password";
                return Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint("take one of them out"));
            }
        };
    let found = found(resolver, &reference, settings, say).await?;
    let replaced = wanted.of(&found)?;
    let refresh = settings.duration("secrets.refresh_ms");
    Ok((replaced, Some((Keeper::new(Arc::clone(resolver), reference, found, refresh), wanted))))
}

async fn found(
    resolver: &Resolver,
    reference: &SecretRef,
    settings: &Settings,
    say: Say<'_>,
) -> Result<Found, Failure> {
    let patience = patience(settings);
    let mut waiting = |error: &SecretError| {
        let seconds = patience.as_secs_f64();
        say(&format!("waiting up to {seconds} s: {}: {}", error.code().code, chain(error)));
    };
    Ok(resolver.find_patiently(reference, patience, &mut waiting).await?)
}

impl Places {
    fn entry(&self, replaced: &Replaced) -> Result<Entry, Failure> {
        let parse = |url: &Secret| match replaced {
            Replaced::Nothing => Ok(Target::parse(url.expose())?),
            Replaced::Password(password) => Ok(Target::parse_with_password(url.expose(), password.expose())?),
            Replaced::Login(Login { username, password }) => {
                let (username, password) = (username.expose(), password.expose());
                Ok::<_, Failure>(Target::parse_with_login(url.expose(), username, password)?)
            }
        };
        let replicas: Result<Vec<Target>, Failure> = self.replicas.iter().map(parse).collect();
        let direct = self.direct.as_ref().map(parse).transpose()?;
        Ok(Entry { target: parse(&self.url)?, direct, replicas: replicas? })
    }
}

fn tell(log: &Log, event: &KeeperEvent<'_>) {
    match event {
        KeeperEvent::Rotated => {
            log.line("info", "the database's login was replaced: new connections use the new one")
        }
        KeeperEvent::Failing { error, lease_left } => {
            let until = lease_left.map_or_else(
                || "what is in use stays in use".to_owned(),
                |left| format!("what is in use holds for {:.1} s more", left.as_secs_f64()),
            );
            log.line("error", &format!("{}: {}; {until}", error.code().code, chain(*error)));
        }
        KeeperEvent::Ended => {
            log.line("error", "the lease of the database's login is over and there is no new one yet")
        }
        KeeperEvent::Recovered => log.line("info", "the store of the database's login answers again"),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
