// An OpenID provider that the tests of identity drive: a line of JSON in, a line of JSON out.
//
// It is oidc-provider as it is. Beside it the test may sign tokens with the provider's own key,
// because no honest provider gives out those that have to be refused.
import { createHmac, createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

let handler;
const server = createServer((request, response) => handler(request, response));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const direct = `http://127.0.0.1:${server.address().port}`;
// The name by which clients reach it, maybe through a proxy that fails on demand.
let issuer;
let key;
let serial = 0;

function start(name) {
  issuer = name;
  rotate();
}

function newKey() {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  serial += 1;
  return { ...pair, kid: `key-${serial}` };
}

function rotate() {
  key = newKey();
  const jwk = { ...key.privateKey.export({ format: "jwk" }), kid: key.kid, alg: "RS256", use: "sig" };
  const provider = new Provider(issuer, {
    jwks: { keys: [jwk] },
    clients: [
      {
        client_id: "app",
        client_secret: "app-secret",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    scopes: ["read", "write"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: "read write",
          audience: resource,
          accessTokenTTL: 600,
          accessTokenFormat: resource.endsWith("opaque") ? "opaque" : "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
  provider.proxy = true;
  handler = provider.callback();
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

// Signs any claims: with the provider's key, another key of the same name, or its public key as a secret.
function sign({ header, claims, by }) {
  const message = `${encode({ alg: "RS256", kid: key.kid, ...header })}.${encode(claims)}`;
  if (by === "nobody") return `${message}.`;
  if (by === "public") {
    const secret = key.publicKey.export({ format: "pem", type: "spki" });
    return `${message}.${createHmac("sha256", secret).update(message).digest("base64url")}`;
  }
  const signer = by === "stranger" ? newKey() : key;
  return `${message}.${createSign("sha256").update(message).sign(signer.privateKey, "base64url")}`;
}

async function post(path, form) {
  const response = await fetch(`${direct}${path}`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from("app:app-secret").toString("base64")}` },
    body: new URLSearchParams(form),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

const commands = {
  start: ({ name }) => start(name),
  rotate,
  sign,
  grant: async ({ resource }) => {
    const form = { grant_type: "client_credentials", scope: "read write", resource };
    return (await post("/token", form)).access_token;
  },
  revoke: ({ token }) => post("/token/revocation", { token }),
};

console.log(JSON.stringify({ done: server.address().port }));
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ done: (await commands[command](rest)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ failed: `${error.message}\n${error.stack}` }));
  }
}
process.exit(0);
