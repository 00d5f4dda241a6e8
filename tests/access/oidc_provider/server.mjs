// A real OpenID provider (npm oidc-provider) on this machine: PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI.
// Whoever types a name on its own login page is that person, with the address name@union.example.
import * as oidc from "oidc-provider";

const [port, clientId, clientSecret, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new oidc.Provider(issuer, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri] }],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  cookies: { keys: ["for tests on this machine alone"] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_context, name) => ({
    accountId: name,
    claims: () => ({ sub: `person-${name}`, email: `${name}@union.example`, email_verified: true }),
  }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log(`listening at ${issuer}`));
