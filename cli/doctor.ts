import { type ImageReference, repositoryOf } from '../connectors/image-reference.ts';
import { ask } from '../credentials/ask.ts';
import { OracleError } from '../credentials/oracle/errors.ts';
import { registryOrigin } from '../credentials/oracle/hosts.ts';
import { type OpenedOracle, type OracleIdentity, openOracle } from '../credentials/oracle/open.ts';
import { registryTokenUser } from '../credentials/oracle/oracle.ts';
import { firstRealmDomain } from '../credentials/oracle/realms.ts';
import { tryPull } from '../credentials/pull-trial.ts';
import { readProxySettings } from '../platform/environment-proxy.ts';
import { printable } from '../platform/printable.ts';
import { RegistryTransport } from '../platform/transport.ts';
import { adviceFor, pullPolicy, vaultPolicy } from './doctor-advice.ts';
import { type DoctorSettings, readDoctorSettings } from './doctor-settings.ts';
import { redirectConsole } from './library-output.ts';
import type { Output } from './output.ts';

const patienceMs = 60_000;
const ocidLengthMax = 256;

/**
 * Walks from the configuration to the credentials that Oracle's cloud gives to this process, one line a step, and says
 * where the way ends and what to do. No line holds a credential.
 * @returns whether every step went well
 * @throws UsageError
 */
export async function doctor(options: unknown, output: Output): Promise<boolean> {
  const settings = await readDoctorSettings(options, process.env);
  // Oracle's SDK prints its own view of what goes wrong in between.
  const restoreConsole = redirectConsole(() => {});
  const oracle = openOracle(settings.oracle);
  try {
    return await new Walk(settings, oracle, output).run(AbortSignal.timeout(patienceMs));
  } finally {
    oracle.close();
    restoreConsole();
  }
}

class Walk {
  readonly #settings: DoctorSettings;
  readonly #oracle: OpenedOracle;
  readonly #output: Output;
  #hasFailed = false;

  constructor(settings: DoctorSettings, oracle: OpenedOracle, output: Output) {
    this.#settings = settings;
    this.#oracle = oracle;
    this.#output = output;
  }

  async run(signal: AbortSignal): Promise<boolean> {
    const { oracle, source } = this.#settings;
    this.#say('configuration', 'ok', `from ${source}; auth ${oracle.auth}`);
    const nearest = await this.#lookAtMetadata(signal);
    const identity = await this.#lookAtPrincipal(signal);
    if (identity === undefined) return false;
    await this.#lookAtRegistry(this.#settings.registry ?? nearest, identity, signal);
    for (const secretId of this.#settings.secretIds) await this.#lookAtSecret(secretId, identity, signal);
    return !this.#hasFailed;
  }

  /** The registry of the instance's region, where this is an instance. */
  async #lookAtMetadata(signal: AbortSignal): Promise<string | undefined> {
    const { auth } = this.#settings.oracle;
    if (auth !== 'instance' && auth !== 'auto') {
      this.#say('metadata', 'skipped', `auth ${auth} does not need it`);
      return undefined;
    }
    try {
      const { regionId, realmDomain, instanceId, tenancyId } = await this.#oracle.instance(signal);
      this.#say(
        'metadata',
        'ok',
        facts({ region: regionId, 'realm domain': realmDomain, instance: instanceId, tenancy: tenancyId }),
      );
      const isFirstRealm = realmDomain === firstRealmDomain;
      return isFirstRealm ? `${regionId}.ocir.io` : `ocir.${regionId}.oci.${realmDomain}`;
    } catch (error) {
      // Others may do where this is no instance.
      if (auth === 'auto') this.#say('metadata', 'none', wordsOf(error, 'metadata'));
      else this.#fail('metadata', error);
      return undefined;
    }
  }

  async #lookAtPrincipal(signal: AbortSignal): Promise<OracleIdentity | undefined> {
    if (this.#hasFailed) return undefined;
    try {
      const identity = await this.#oracle.identity(signal);
      const { kind, claims, expiresAt } = identity;
      const tenancy = claims['opc-tenant'] ?? claims['res_tenant'] ?? claims['tenant'];
      const until = expiresAt === undefined ? undefined : timeOf(expiresAt);
      this.#say('principal', 'ok', facts({ kind, subject: claims['sub'], tenancy, until }));
      return identity;
    } catch (error) {
      this.#fail('principal', error);
      return undefined;
    }
  }

  async #lookAtRegistry(host: string | undefined, identity: OracleIdentity, signal: AbortSignal): Promise<void> {
    if (host === undefined) {
      this.#say('token', 'skipped', 'no registry is named: --registry or --image names one');
      return;
    }
    const origin = registryOrigin(host, this.#settings.oracle.registryProtocol);
    const transport = new RegistryTransport({ origin, proxies: readProxySettings(process.env) });
    try {
      const { token, expiresAt } = await this.#oracle.registryToken(host, signal);
      this.#say('token', 'ok', facts({ registry: host, user: registryTokenUser, until: timeOf(expiresAt) }));
      await this.#lookAtPull(transport, token, identity, signal);
    } catch (error) {
      if (error instanceof OracleError) this.#fail('token', error);
      else this.#fail('registry', error, `check that this machine reaches ${host}, and its HTTP proxy if it has one`);
    } finally {
      await transport.destroy();
    }
  }

  async #lookAtPull(
    transport: RegistryTransport,
    token: string,
    identity: OracleIdentity,
    signal: AbortSignal,
  ): Promise<void> {
    const url = new URL('/v2/', transport.origin);
    const headers = { authorization: `Bearer ${token}` };
    const { status } = await ask(transport, { method: 'GET', url, headers }, signal);
    if (status !== 200) {
      const advice = 'the token is right to its issuer alone: is this host OCIR, and not a proxy before it?';
      this.#fail('registry', `${url.host} answered ${status} at /v2/ to the token`, advice);
      return;
    }
    this.#say('registry', 'ok', `${url.host} takes the token at /v2/`);
    const { image } = this.#settings;
    if (image !== undefined) await this.#tryImage(image, transport, token, identity, signal);
  }

  async #tryImage(
    image: ImageReference,
    transport: RegistryTransport,
    token: string,
    { kind }: OracleIdentity,
    signal: AbortSignal,
  ): Promise<void> {
    const repository = repositoryOf(image);
    const credential = { kind: 'password', username: registryTokenUser, password: token } as const;
    const trial = await tryPull({ transport, repository, credential, now: Date.now }, signal);
    if (trial.verdict === 'allowed') this.#say('image', 'ok', `${repository} may be pulled`);
    else if (trial.verdict === 'denied') {
      this.#fail('image', `${repository} may not be pulled: ${trial.message}`, pullPolicy(kind));
    } else {
      const advice = `check the name, which begins with the tenancy's namespace; or the policy: ${pullPolicy(kind)}`;
      this.#fail('image', `whether ${repository} may be pulled is not clear: ${trial.message}`, advice);
    }
  }

  async #lookAtSecret(secretId: string, { kind }: OracleIdentity, signal: AbortSignal): Promise<void> {
    const name = printable(secretId, ocidLengthMax);
    try {
      const { version } = await this.#oracle.vaultSecret(secretId, signal);
      this.#say('vault', 'ok', `${name}: version ${version} has username and password`);
    } catch (error) {
      const isPolicy = error instanceof OracleError && ['Denied', 'NotAuthorizedOrNotFound'].includes(error.code);
      const advice = isPolicy && error.step === 'vault' ? vaultPolicy(kind) : undefined;
      this.#fail('vault', `${name}: ${wordsOf(error, 'vault')}`, advice ?? adviceFor(error));
    }
  }

  #say(step: string, state: 'ok' | 'none' | 'skipped' | 'failed' | '', text: string): void {
    // Some of it is what a registry answered.
    const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
    this.#output.result(`${step.padEnd(15)}${state.padEnd(9)}${line}\n`);
  }

  #fail(step: string, reason: unknown, advice = adviceFor(reason)): void {
    this.#hasFailed = true;
    this.#say(step, 'failed', typeof reason === 'string' ? reason : wordsOf(reason, step));
    if (advice !== undefined) this.#say('', '', `to do: ${advice}`);
  }
}

/** Messages begin with their step, which the line does too. */
function wordsOf(error: unknown, step: string): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.startsWith(`${step}: `) ? message.slice(step.length + 2) : message;
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

/** Nobody has verified what a token claims: it is told as far as it can be printed. */
function facts(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
    .map(([name, value]) => `${name} ${printable(value, ocidLengthMax)}`)
    .join(', ');
}
