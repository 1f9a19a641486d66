import type { KeyObject } from 'node:crypto';
import type { Authority } from './authorities.ts';
import { answerFederation } from './federation.ts';
import { verifySignature } from './http-signature.ts';
import { answerMetadata, type InstanceIdentity, type MetadataOptions } from './metadata.ts';
import { resourceEnvironment, userConfig, workloadEnvironment } from './principals.ts';
import { answerProxymux, serviceAccountToken } from './proxymux.ts';
import { OracleRegistry } from './registry.ts';
import { type Exchange, type Service, serviceError, startService } from './service.ts';
import { makeSessionTokens, type SessionTokens } from './session-tokens.ts';
import { instanceId, pemOf, sharedTrust, type Trust, tenancyId, userKeyId } from './trust.ts';
import { type SecretVersion, VaultContents } from './vault.ts';

export { instanceId, tenancyId } from './trust.ts';

export interface OracleCloudOptions extends MetadataOptions {
  /** Registry without credential behind the OCIR that this cloud plays; by default there is only `/v2/`. */
  readonly registryBehind?: string;
  /** Of session tokens, by default 20 minutes. */
  readonly sessionLifeMs?: number;
}

interface Services {
  readonly metadata: Service;
  readonly federation: Service;
  readonly proxymux: Service;
  readonly registryService: Service;
  readonly vaultService: Service;
}

const instanceClaims = { sub: instanceId, 'opc-instance': instanceId, 'opc-tenant': tenancyId, ptype: 'instance' };
const resourceClaims = { sub: 'ocid1.fnfunc.oc1..aaaa', res_tenant: tenancyId, ptype: 'resource' };
const workloadClaims = { ...resourceClaims, ptype: 'workload' };

/**
 * Oracle's cloud on this machine: metadata service, federation, proxymux, OCIR and vault, which refuse what the real
 * ones would refuse.
 */
export class OracleCloud implements AsyncDisposable {
  /** How far the cloud's clock is ahead of ours. */
  clockAheadMs = 0;
  /** Of session tokens from now on. */
  sessionLifeMs: number;
  /** What the metadata service gives as this instance's certificate. */
  readonly identity: InstanceIdentity;
  readonly registry: OracleRegistry;
  readonly vault = new VaultContents();
  readonly #trust: Trust;
  readonly #options: OracleCloudOptions;
  readonly #sessions: SessionTokens;
  readonly #passwords: string[] = [];
  #services: Services | undefined;

  constructor(trust: Trust, options: OracleCloudOptions) {
    this.#trust = trust;
    this.#options = options;
    this.sessionLifeMs = options.sessionLifeMs ?? 20 * 60_000;
    this.identity = { leaf: trust.leaf, intermediate: trust.intermediate.certificate };
    this.#sessions = makeSessionTokens(trust.sessions, this.#now, () => this.sessionLifeMs);
    const identify = (exchange: Exchange) => this.#identify(exchange);
    this.registry = new OracleRegistry({ now: this.#now, identify, behind: options.registryBehind });
  }

  async start(): Promise<this> {
    const now = this.#now;
    const sessions = this.#sessions;
    const { root, proxymux: certified } = this.#trust;
    const federated = { root: root.certificate, sessions, now, claims: instanceClaims };
    const tls = { key: certified.privateKey, cert: certified.certificate };
    const [metadata, federation, proxymux, registryService, vaultService] = await Promise.all([
      startService({ now, answer: (exchange) => answerMetadata(exchange, this.#options, this.identity) }),
      startService({ now, answer: (exchange) => answerFederation(exchange, federated) }),
      startService({ now, tls, answer: (exchange) => answerProxymux(exchange, sessions, workloadClaims) }),
      startService({ now, answer: (exchange) => this.registry.answer(exchange) }),
      startService({ now, answer: (exchange) => this.#answerVault(exchange) }),
    ]);
    this.#services = { metadata, federation, proxymux, registryService, vaultService };
    return this;
  }

  get metadata(): Service {
    return this.#running.metadata;
  }

  get federation(): Service {
    return this.#running.federation;
  }

  get proxymux(): Service {
    return this.#running.proxymux;
  }

  get registryService(): Service {
    return this.#running.registryService;
  }

  get vaultService(): Service {
    return this.#running.vaultService;
  }

  /** `host:port` of the registry. */
  get registryHost(): string {
    return this.registryService.authority;
  }

  /** `OracleSettings` that lead here. */
  get settings() {
    return {
      metadataUrl: `${this.metadata.url}/opc/v2/`,
      federationUrl: this.federation.url,
      vaultUrl: this.vaultService.url,
      registryProtocol: 'http',
    } as const;
  }

  /** That signs the certificates of instances. */
  get intermediateAuthority(): Authority {
    return this.#trust.intermediate;
  }

  isValidToken(token: string): boolean {
    return this.registry.isValidToken(token);
  }

  /** Every session token so far is refused from now on. */
  revokeSessions(): void {
    this.#sessions.revokeAll();
  }

  /** Adds a version to a secret, with JSON of `login`; returns its number. */
  putLogin(secretId: string, login: object, version?: Omit<SecretVersion, 'content'>): number {
    if ('password' in login) this.#passwords.push(String(login.password));
    return this.vault.put(secretId, { content: JSON.stringify(login), ...version });
  }

  /** The environment of a resource principal: values, or with a folder files. */
  resourceEnvironment(folder?: string): Promise<Record<string, string>> {
    const token = this.#sessions.issue(this.#trust.resource.publicKey, resourceClaims);
    return resourceEnvironment(this.#trust, token, folder);
  }

  /** The environment of a pod, whose token and CA are put into the folder. */
  workloadEnvironment(folder: string): Promise<Record<string, string>> {
    return workloadEnvironment(this.#trust, this.proxymux.authority, folder);
  }

  /** Writes a configuration file with an API key; returns its path. */
  userConfig(folder: string, fields: Readonly<Record<string, string>> = {}): Promise<string> {
    return userConfig(this.#trust, folder, fields);
  }

  /** What must never be in a message or a log. */
  canaries(): readonly string[] {
    const { user, resource } = this.#trust;
    const keys = [this.identity.leaf.privateKey, pemOf(user.privateKey), pemOf(resource.privateKey)];
    const tokens = this.#sessions.issued.flatMap((token) => [token, token.split('.')[2] ?? token]);
    return [serviceAccountToken, ...keys.flatMap(linesOf), ...tokens, ...this.registry.issued, ...this.#passwords];
  }

  /** Ends every connection and answer at once. */
  async close(): Promise<void> {
    const services: readonly Service[] = Object.values(this.#services ?? {});
    await Promise.all(services.map((service) => service.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #running(): Services {
    if (this.#services === undefined) throw new Error('the cloud has not been started');
    return this.#services;
  }

  readonly #now = (): number => Date.now() + this.clockAheadMs;

  #answerVault(exchange: Exchange) {
    return this.#identify(exchange) === undefined ? serviceError(401, 'NotAuthenticated') : this.vault.answer(exchange);
  }

  #identify(exchange: Exchange): string | undefined {
    const verdict = verifySignature({ ...exchange, now: this.#now(), keyOf: (keyId) => this.#keyOf(keyId) });
    return verdict.ok ? verdict.keyId : undefined;
  }

  #keyOf(keyId: string): KeyObject | undefined {
    if (keyId.startsWith('ST$')) return this.#sessions.keyOf(keyId.slice(3));
    return keyId === userKeyId(this.#trust) ? this.#trust.user.publicKey : undefined;
  }
}

/** Starts a cloud on free ports of 127.0.0.1. */
export async function startOracleCloud(options: OracleCloudOptions = {}): Promise<OracleCloud> {
  return new OracleCloud(await sharedTrust(), options).start();
}

const linesOf = (pem: string): readonly string[] =>
  pem.split('\n').filter((line) => line.length > 40 && !line.startsWith('-'));
