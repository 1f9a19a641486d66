import { OracleError, type OracleErrorCode } from '../../credentials/oracle/errors.ts';
import type { Oracle, RegistryLogin, VaultLogin } from '../../credentials/oracle/oracle.ts';

/** Oracle's cloud as far as this process sees it: what it answers is put in, what it is asked is kept. */
export class FakeOracle implements Oracle {
  /** `vault <id>` or `registry <host>` of each question. */
  readonly asked: string[] = [];
  readonly secrets = new Map<string, Pick<VaultLogin, 'username' | 'password'>>();
  /** Makes the next token of a registry. */
  login: (host: string) => RegistryLogin = (host) => ({ token: `token-${this.asked.length}-of-${host}`, expiresAt: 0 });
  /** What is thrown instead, as long as it is set. */
  failure: Error | undefined;
  /** Answers wait for it. */
  gate: Promise<void> = Promise.resolve();
  isClosed = false;

  async registryToken(host: string, signal: AbortSignal): Promise<RegistryLogin> {
    await this.#ask(`registry ${host}`, signal);
    return this.login(host);
  }

  async vaultSecret(secretId: string, signal: AbortSignal): Promise<VaultLogin> {
    await this.#ask(`vault ${secretId}`, signal);
    const login = this.secrets.get(secretId);
    if (login === undefined) throw new OracleError('vault', 'NotAuthorizedOrNotFound', 'answered 404');
    return { ...login, version: 1 };
  }

  close(): void {
    this.isClosed = true;
  }

  async #ask(question: string, signal: AbortSignal): Promise<void> {
    this.asked.push(question);
    await this.gate;
    signal.throwIfAborted();
    if (this.failure !== undefined) throw this.failure;
  }
}

export const oracleFailure = (code: OracleErrorCode, retryAfterMs?: number): OracleError =>
  new OracleError('vault', code, 'answered otherwise', { retryAfterMs });
