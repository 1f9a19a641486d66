import { setTimeout as delay } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { ProxyError } from '../errors.ts';
import { readBounded } from '../read-bounded.ts';
import { readRefusal } from './refusal.ts';

export interface CentreClientOptions {
  /** `https://host[:port]` of the centre's API for agents. */
  readonly centre: string;
  /** To the centre alone: it trusts the `serving` authority. */
  readonly dispatcher: Dispatcher;
  /** The agent's own token, as it is now. */
  readonly agentToken: () => string;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

const askMs = 15_000;
const retryPausesMs = [0, 100, 200, 400, 800, 1600];
/** A volume of 1 MiB, escaped in JSON, and what belongs to it. */
const answerLengthMax = 4_194_304;

/** Asks the centre questions that may be asked again. */
export class CentreClient {
  readonly #options: CentreClientOptions;
  readonly #now: () => number;
  #awayAt = Number.NEGATIVE_INFINITY;

  constructor(options: CentreClientOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** How long an answer may take, in milliseconds. */
  static readonly askMs = askMs;

  /** `https://host[:port]` */
  get origin(): string {
    return this.#options.centre;
  }

  /** For requests that are no questions. */
  get dispatcher(): Dispatcher {
    return this.#options.dispatcher;
  }

  /** Says which agent asks, at present. */
  get authorization(): string {
    return `Bearer ${this.#options.agentToken()}`;
  }

  /** When the centre could last not be reached, for whatever question; epoch milliseconds, cleared by an answer. */
  get awayAt(): number {
    return this.#awayAt;
  }

  /**
   * The answer's JSON.
   * @throws ProxyError what the centre refused with, or CENTRE_UNREACHABLE
   */
  async ask(method: 'GET' | 'POST', path: string, question: unknown, signal: AbortSignal): Promise<unknown> {
    const headers: Record<string, string> = { authorization: this.authorization };
    const body = question === undefined ? null : JSON.stringify(question);
    if (body !== null) headers['content-type'] = 'application/json';
    const limited = AbortSignal.any([signal, AbortSignal.timeout(askMs)]);
    const request = { origin: this.origin, path, method, headers, body, signal: limited } as const;
    const response = await this.#send(request, signal);
    const answer = await readJson(response.body).catch(() => undefined);
    if (response.statusCode === 200 && answer !== undefined) return answer;
    throw readRefusal(answer) ?? away(`the centre answered ${response.statusCode}`);
  }

  /** A replica of the centre that ends, or a connection that it closed, is no reason to fail. */
  async #send(request: Dispatcher.RequestOptions, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const response = await this.#options.dispatcher.request(request);
        this.#awayAt = Number.NEGATIVE_INFINITY;
        return response;
      } catch (cause) {
        signal.throwIfAborted();
        const pause = retryPausesMs[attempt];
        const isLate = (request.signal as AbortSignal).aborted;
        if (pause === undefined || isLate) {
          // One question that takes too long says nothing about the others.
          if (!isLate || attempt > 0) this.#awayAt = this.#now();
          throw away('the centre cannot be reached', cause);
        }
        await delay(pause, undefined, { signal });
      }
    }
  }
}

/** @throws Error for what is no JSON, and for more than any answer has: whoever sends that is not the centre */
async function readJson(body: AsyncIterable<Buffer>): Promise<unknown> {
  const { bytes, isWhole } = await readBounded(body, answerLengthMax);
  if (!isWhole) throw new Error('the answer is too long');
  return JSON.parse(bytes.toString('utf8'));
}

const away = (message: string, cause?: unknown): ProxyError =>
  new ProxyError('CENTRE_UNREACHABLE', message, { cause, headers: { 'retry-after': '2' } });
