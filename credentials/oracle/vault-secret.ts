import { parseJsonObject } from '../../platform/json.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';
import { misconfigured, OracleError } from './errors.ts';
import { regionByName } from './metadata.ts';
import type { OracleSettings, VaultLogin } from './oracle.ts';
import { domainOfRealm } from './realms.ts';
import { refusal } from './refusal.ts';
import { loadCommon, loadSecrets } from './sdk.ts';
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
  const endpoint = urlSetting('vaultUrl', settings.vaultUrl ?? (await vaultEndpoint(secretId)));
  const whom = `the vault at ${endpoint.host}`;
  let failure: unknown;
  /** The SDK composes and reads; signing, waiting and asking again are ours: it does neither stop nor say why. */
  const send = async ({ uri }: { readonly uri: string }): Promise<Response> => {
    try {
      const reply = await ask({ step: 'vault', whom, url: new URL(uri) }, signal);
      if (reply.status !== 200) throw refusal(reply, { step: 'vault', whom, now, ...refusals });
      return new Response(reply.text);
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  try {
    const client = new SecretsClient({ httpClient: { send } });
    client.shutdownCircuitBreaker();
    client.endpoint = endpoint.href.replace(/\/+$/, '');
    const request = { secretId, stage, retryConfiguration: NoRetryConfigurationDetails };
    // Where an answer has no body there is none, whatever the SDK's types say.
    const bundle = (await client.getSecretBundle(request)).secretBundle as SecretBundle | undefined;
    if (bundle !== undefined) return readLogin(bundle);
  } catch (error) {
    if (error instanceof OracleError) throw error;
    if (failure !== undefined) throw failure;
    // What else the SDK throws may repeat the answer, which is the secret.
  }
  throw new OracleError('vault', 'Protocol', `${whom} answered with something that is no secret bundle`);
}

const refusals = {
  advice: {
    400: 'is that the OCID of a secret?',
    401: 'it does not know this principal: is the vault of the same realm and tenancy?',
    403: 'no policy lets this principal read secret-bundles in the compartment of the secret',
    404: 'there is no such secret, or no policy lets this principal read secret-bundles in its compartment',
  },
  notFound: 'NotAuthorizedOrNotFound',
} as const;

/**
 * The vault of a secret is in the region that its OCID names, wherever we are.
 * @throws OracleError `Misconfigured`
 */
export async function vaultEndpoint(secretId: string): Promise<string> {
  const [, realm = '', name = ''] =
    /^ocid1\.vaultsecret\.([a-z0-9]+)\.([a-z0-9-]+)\.[A-Za-z0-9_.-]+$/.exec(secretId) ?? [];
  if (name === '') {
    throw misconfigured('secretId is not the OCID of a vault secret, as ocid1.vaultsecret.oc1.eu-frankfurt-1.…');
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
  const fields = parseJsonObject(text);
  if (fields === undefined) throw malformed('content is no JSON object with username and password');
  const { username, password } = fields;
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
  const text = decodeUtf8(Buffer.from(content, 'base64'));
  if (text === undefined) throw malformed('content is binary, not text');
  return text;
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
