import { parseJson } from '../../platform/json.ts';
import { OracleError } from './errors.ts';
import { regionByName } from './metadata.ts';
import type { OracleSettings, VaultLogin } from './oracle.ts';
import { domainOfRealm } from './realms.ts';
import { refusal } from './refusal.ts';
import { loadCommon, loadSecrets } from './sdk.ts';
import type { Reply } from './send.ts';
import type { AskSigned } from './service.ts';
import { urlSetting } from './surroundings.ts';

/**
 * The version in use. LATEST is the one that was uploaded last, which may be PENDING: staged, while the registry does
 * not know it yet; and where an older version was promoted again, LATEST is the one that somebody has turned away from.
 * Wherever nobody stages, the version that was uploaded last is CURRENT too. It is also the API's own default.
 */
const stage = 'CURRENT' as import('oci-secrets').requests.GetSecretBundleRequest.Stage;

type SecretBundle = import('oci-secrets').models.SecretBundle;

export interface VaultSecretOptions {
  readonly settings: OracleSettings;
  readonly ask: AskSigned;
  readonly now: () => number;
}

/**
 * The user name and password of a secret in a vault.
 * @throws OracleError
 */
export async function fetchVaultSecret(
  secretId: string,
  { settings, ask, now }: VaultSecretOptions,
  signal: AbortSignal,
): Promise<VaultLogin> {
  const [{ SecretsClient }, { NoRetryConfigurationDetails }] = await Promise.all([loadSecrets(), loadCommon()]);
  const endpoint = urlSetting('vaultUrl', settings.vaultUrl ?? (await endpointOf(secretId)));
  const whom = `the vault at ${endpoint.host}`;
  let reply: Reply | undefined;
  let failure: unknown;
  // The SDK composes and reads; signing, waiting and asking again are ours: it does neither stop nor say why.
  const client = new SecretsClient({
    httpClient: {
      send: async ({ uri }) => {
        try {
          reply = await ask({ step: 'vault', whom, url: new URL(uri) }, signal);
          return new Response(reply.text, { status: reply.status });
        } catch (error) {
          failure = error;
          throw error;
        }
      },
    },
  });
  client.shutdownCircuitBreaker();
  client.endpoint = endpoint.href.replace(/\/+$/, '');
  let bundle: SecretBundle;
  try {
    const request = { secretId, stage, retryConfiguration: NoRetryConfigurationDetails };
    bundle = (await client.getSecretBundle(request)).secretBundle;
  } catch {
    // What the SDK throws may repeat the answer, which is the secret.
    if (failure !== undefined) throw failure;
    throw vaultError(reply, whom, now);
  }
  return readLogin(bundle);
}

function vaultError(reply: Reply | undefined, whom: string, now: () => number): OracleError {
  if (reply === undefined || (reply.status >= 200 && reply.status < 300)) {
    return new OracleError('vault', 'Protocol', `${whom} answered with something that is no secret bundle`);
  }
  const advice = {
    400: 'is that the OCID of a secret?',
    401: 'it does not know this principal: is the vault of the same realm and tenancy?',
    403: 'no policy lets this principal read secret-bundles in the compartment of the secret',
    404: 'there is no such secret, or no policy lets this principal read secret-bundles in its compartment',
  };
  return refusal(reply, { step: 'vault', whom, now, advice, notFound: 'NotAuthorizedOrNotFound' });
}

/** The vault of a secret is in the region that its OCID names, wherever we are. */
async function endpointOf(secretId: string): Promise<string> {
  const [, realm = '', name = ''] =
    /^ocid1\.vaultsecret\.([a-z0-9]+)\.([a-z0-9-]+)\.[A-Za-z0-9_.-]+$/.exec(secretId) ?? [];
  if (name === '') {
    throw new OracleError(
      'configuration',
      'Misconfigured',
      'secretId is not the OCID of a vault secret, as ocid1.vaultsecret.oc1.eu-frankfurt-1.…',
    );
  }
  const { regionId, realmDomain } = await regionByName(name);
  return `https://secrets.vaults.${regionId}.oci.${domainOfRealm(realm) ?? realmDomain}`;
}

/**
 * What the content says. Messages name the field that is wrong, and nothing of the content.
 * @throws OracleError `SecretMalformed`
 */
function readLogin(bundle: SecretBundle): VaultLogin {
  const details: { contentType?: unknown; content?: unknown } = bundle.secretBundleContent ?? {};
  if (details.contentType !== 'BASE64') throw malformed('contentType is not BASE64');
  const text = decode(details.content);
  if (text.trim() === '') throw malformed('content is empty');
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed('content is no JSON object with username and password');
  }
  const { username, password } = value as Record<string, unknown>;
  const version = bundle.versionNumber;
  return {
    username: fieldOf('username', username),
    password: fieldOf('password', password),
    version: typeof version === 'number' ? version : 0,
  };
}

function decode(content: unknown): string {
  if (typeof content !== 'string' || content === '') throw malformed('content is empty');
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(content)) {
    throw malformed('content is not base64');
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(content, 'base64'));
  } catch {
    throw malformed('content is binary, not text');
  }
}

function fieldOf(name: string, value: unknown): string {
  if (value === undefined) throw malformed(`${name} is missing`);
  if (typeof value !== 'string') throw malformed(`${name} is no string`);
  if (value === '') throw malformed(`${name} is empty`);
  // Neither fits into the header that it is sent in.
  if (/[\0\r\n]/.test(value)) throw malformed(`${name} has a line break`);
  return value;
}

const malformed = (problem: string): OracleError =>
  new OracleError('content', 'SecretMalformed', `the secret's ${problem}; it takes {"username": …, "password": …}`);
