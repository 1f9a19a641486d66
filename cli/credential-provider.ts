import { readFileSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Credential } from '../credentials/credential.ts';
import { type Cache, type CacheKind, noCache, openCache } from '../kubelet/cache.ts';
import { answerWithToken, isForConnector } from '../kubelet/connector.ts';
import { createLog, type Log } from '../kubelet/log.ts';
import { ProviderError } from '../kubelet/provider-error.ts';
import { type ProviderRequest, parseRequest, requestBytesMax } from '../kubelet/request.ts';
import { type Answer, formatResponse } from '../kubelet/response.ts';
import {
  guessInvocation,
  type InvocationSettings,
  type ProviderSettings,
  providerVariables,
} from '../kubelet/settings.ts';
import { isTerminal, readStandardInput } from './credential-provider-input.ts';
import { guardStandardOutput, writeWhole } from './credential-provider-output.ts';

// What an answer from the cache does not need is loaded later: to start is most of what it costs.

const usage = 'oci-connector credential-provider [--config FILE] <CredentialProviderRequest';
const configBytesMax = 1024 * 1024;
const settingsMs = 24 * 3_600_000;
/** Of the deadline. */
const turnShare = 0.15;

/** Who asks Oracle's cloud, and what for, is told by these beside the configuration. */
const principalVariables = /^(?:OCI_|KUBERNETES_SERVICE_)|^HOME$/;

interface ConfigurationText {
  /** Undefined: the environment is the configuration, as with Oracle's provider. */
  readonly file: string | undefined;
  readonly text: string;
  /** Whether others than its owner may read it. */
  readonly isOpen: boolean;
}

/**
 * Answers one request of the kubelet and ends the process: 0 with one object on standard output, 1 where there is no
 * credential, 2 for a wrong command line or configuration. Nothing else ever writes to standard output.
 */
export async function runCredentialProvider(args: readonly string[]): Promise<never> {
  const invocation = new Invocation();
  try {
    await invocation.run(args);
    return process.exit(0);
  } catch (error) {
    return invocation.fail(error);
  }
}

class Invocation {
  readonly #startedAt = Date.now();
  readonly #abort = new AbortController();
  readonly #hidden: Credential[] = [];
  #settings: InvocationSettings = guessInvocation('');
  /** Undefined until they are read: an answer from the cache needs none of them. */
  #providerSettings: ProviderSettings | undefined;
  #log: Log = this.#openLog();
  #cache: Cache = noCache;
  #cacheOf: string | undefined;
  #deadline: NodeJS.Timeout | undefined;
  /** What is waited for, for who is told that it took too long. */
  #step = 'the configuration';
  #isCached = false;
  #image: string | undefined;

  constructor() {
    guardStandardOutput((text) => this.#log.write('debug', 'a library says', { text: scrubbed(text) }));
    // What a library leaves behind costs no answer; where it is what we wait for, the deadline ends that.
    for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
      process.on(event, (error) => this.#log.write('warn', `${event}: ${scrubbed(String(error))}`));
    }
    this.#setDeadline();
  }

  async run(args: readonly string[]): Promise<void> {
    const input = readInput(this.#abort.signal);
    input.catch(() => {});
    const configuration = readConfiguration(readArguments(args));
    this.#use(guessInvocation(configuration.text), configuration);
    if (!this.#useKeptSettings()) await this.#readSettingsInTurn(configuration);
    this.#step = 'the end of standard input';
    const parsed = parseRequest(await input);
    if (!parsed.ok) throw new ProviderError(parsed.reason);
    const { request } = parsed;
    this.#image = request.image;
    if (request.token !== undefined) this.#log.conceal(request.token, 'token');
    const answer = await this.#answer(request, configuration);
    const now = Date.now();
    writeWhole(1, formatResponse(request.apiVersion, answer, now), this.#startedAt + this.#settings.timeoutMs);
    this.#log.write('info', 'answered', {
      image: request.image,
      keys: Object.keys(answer.auth),
      cached: this.#isCached,
      cacheKeyType: answer.cacheKeyType,
      cacheSeconds: Math.max(0, Math.floor(((answer.expiresAt ?? now) - now) / 1000)),
      ms: now - this.#startedAt,
    });
  }

  fail(error: unknown): never {
    const message = this.#log.redacted(error instanceof Error ? error.message : 'an unknown error');
    const code = error instanceof ProviderError ? error.exitCode : 1;
    const image = this.#image === undefined ? {} : { image: this.#image };
    this.#log.write('error', 'no answer', { ...image, reason: message, ms: Date.now() - this.#startedAt });
    if (this.#settings.log.file !== undefined) note(`oci-connector: ${message}`);
    return process.exit(code);
  }

  async #answer(request: ProviderRequest, configuration: ConfigurationText): Promise<Answer> {
    if (isForConnector(request, this.#settings.connectorAddress)) return answerWithToken(request, Date.now());
    const keys = { Image: `image ${request.image}`, Registry: `registry ${request.host}` };
    const kept = () =>
      (this.#cache.read('answer', keys.Image) ?? this.#cache.read('answer', keys.Registry)) as Answer | undefined;
    const found = kept();
    this.#isCached = true;
    if (found !== undefined) return found;
    this.#step = `a credential for ${request.image}`;
    return this.#inTurn(
      'answer',
      keys.Registry,
      () => kept() !== undefined,
      async () => {
        const made = kept();
        if (made !== undefined) return made;
        this.#isCached = false;
        return this.#answerAnew(request, configuration, keys);
      },
    );
  }

  async #answerAnew(
    request: ProviderRequest,
    configuration: ConfigurationText,
    keys: Readonly<Record<Answer['cacheKeyType'], string>>,
  ): Promise<Answer> {
    const settings = this.#providerSettings ?? (await this.#readSettings(configuration));
    const { answerAnew } = await import('./credential-provider-parts.ts');
    const leftMs = this.#startedAt + this.#settings.timeoutMs - Date.now();
    const surroundings = { environment: process.env, cache: this.#cache, log: this.#log, now: Date.now, leftMs };
    const answer = await answerAnew(request, settings, surroundings, this.#abort.signal);
    if (answer.expiresAt !== undefined) {
      await this.#cache.write('answer', keys[answer.cacheKeyType], answer, answer.expiresAt);
    }
    return answer;
  }

  /**
   * Runs `run` when others who do the same have ended, or were waited for long enough: of many invocations at once one
   * alone loads what is large, and the others find what it has left.
   */
  async #inTurn<T>(kind: CacheKind, key: string, isDone: () => boolean, run: () => Promise<T>): Promise<T> {
    const name = this.#cache.turnOf(kind, key);
    if (name === undefined) return run();
    const { takeTurn } = await import('../kubelet/turn.ts');
    const waitMs = Math.floor(this.#settings.timeoutMs * turnShare);
    const turn = await takeTurn(name, { waitMs, signal: this.#abort.signal, isDone });
    try {
      return await run();
    } finally {
      turn?.release();
    }
  }

  #readSettingsInTurn(configuration: ConfigurationText): Promise<void> {
    const isDone = () => this.#cache.read('settings', '') !== undefined;
    return this.#inTurn('settings', '', isDone, async () => {
      if (!this.#useKeptSettings()) await this.#readSettings(configuration);
    });
  }

  #useKeptSettings(): boolean {
    const kept = this.#cache.read('settings', '') as InvocationSettings | undefined;
    if (kept === undefined || kept.cacheDir !== this.#settings.cacheDir) return false;
    this.#apply(kept);
    return true;
  }

  async #readSettings(configuration: ConfigurationText): Promise<ProviderSettings> {
    const { parseConfiguration, readEnvironment } = await import('../kubelet/configuration.ts');
    const { file, text } = configuration;
    const read = file === undefined ? readEnvironment(process.env) : parseConfiguration(text, file);
    if (!read.ok) throw new ProviderError(read.problems.join('; '), { exitCode: 2 });
    this.#providerSettings = read.settings;
    const { invocation, remarks } = read.settings;
    this.#use(invocation, configuration);
    for (const remark of remarks) this.#log.write('info', remark);
    if (configuration.isOpen && read.settings.imagePullSecrets.some(({ secretType }) => secretType === 'BASIC')) {
      this.#log.write('warn', `${file} holds passwords, and others may read it: its mode should be 0600`);
    }
    await this.#cache.write('settings', '', invocation, Date.now() + settingsMs);
    return read.settings;
  }

  #use(settings: InvocationSettings, { text }: ConfigurationText): void {
    this.#apply(settings);
    if (this.#cacheOf === settings.cacheDir) return;
    this.#cacheOf = settings.cacheDir;
    this.#cache = this.#openCache(text);
  }

  #apply(settings: InvocationSettings): void {
    this.#settings = settings;
    this.#log = this.#openLog();
    this.#setDeadline();
  }

  #openLog(): Log {
    return createLog({ settings: this.#settings.log, note, now: Date.now, pid: process.pid, hidden: this.#hidden });
  }

  #openCache(text: string): Cache {
    const folder = this.#settings.cacheDir;
    const uid = process.getuid?.();
    if (folder === undefined || uid === undefined) return noCache;
    const environment = Object.entries(process.env).filter(([name]) => principalVariables.test(name));
    const scope = JSON.stringify([text, environment.sort(), uid]);
    return openCache({ folder, uid, scope, now: Date.now, warn: (message) => this.#log.write('warn', message) });
  }

  /** Ends the process whatever it is doing: the kubelet is not kept waiting. */
  #setDeadline(): void {
    clearTimeout(this.#deadline);
    const { timeoutMs } = this.#settings;
    const expire = (): void => {
      this.#abort.abort();
      this.fail(new ProviderError(`no answer within ${timeoutMs / 1000} s: waited for ${this.#step}`));
    };
    this.#deadline = setTimeout(expire, Math.max(0, this.#startedAt + timeoutMs - Date.now()));
  }
}

function readArguments(args: readonly string[]): string | undefined {
  try {
    // Oracle's provider is written in Go, where one dash is enough.
    const dashed = args.map((argument) => (/^-config(?:=|$)/.test(argument) ? `-${argument}` : argument));
    return parseArgs({ args: dashed, options: { config: { type: 'string' } } }).values.config;
  } catch (error) {
    throw new ProviderError(`${error instanceof Error ? error.message : ''} (${usage})`, { exitCode: 2 });
  }
}

function readConfiguration(file: string | undefined): ConfigurationText {
  if (file === undefined) {
    const entries = Object.keys(providerVariables).map((name) => [name, process.env[name] ?? '']);
    return { file, text: JSON.stringify(entries), isOpen: false };
  }
  try {
    const status = statSync(file);
    // Whoever opens a pipe waits for who writes it.
    if (!status.isFile()) throw new Error('it is no file');
    if (status.size > configBytesMax) throw new Error(`it is larger than ${configBytesMax} bytes`);
    return { file, text: readFileSync(file, 'utf8'), isOpen: (status.mode & 0o077) !== 0 };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ProviderError(`--config ${file} cannot be read (${code ?? message})`, { exitCode: 2, cause: error });
  }
}

/** @throws ProviderError */
async function readInput(signal: AbortSignal): Promise<Buffer> {
  if (isTerminal()) {
    throw new ProviderError(`standard input is a terminal; the kubelet calls this: ${usage}`, { exitCode: 2 });
  }
  return readStandardInput(requestBytesMax, signal);
}

/** What looks like a token, a key or a signature, in what nobody here has written. */
const scrubbed = (text: string): string => text.slice(0, 2000).replace(/[A-Za-z0-9+/=_~-]{24,}/g, '[redacted]');

function note(line: string): void {
  try {
    writeWhole(2, `${line}\n`, 0);
  } catch {
    // Nobody listens.
  }
}

// By itself it starts in half the time that the whole command line takes.
if (import.meta.main) void runCredentialProvider(process.argv.slice(2));
