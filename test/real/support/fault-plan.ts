import { hash } from 'node:crypto';

/** What becomes of one request to the registry. */
export type Fault =
  | { readonly kind: 'none' }
  /** Nothing of the answer comes; with `answerLost` the registry has done what was asked. */
  | { readonly kind: 'reset' | 'close' | 'closeWhenUsedAgain' | 'answerLost' }
  | { readonly kind: 'resetInRequest' | 'resetInAnswer' | 'truncated'; readonly bytes: number }
  | { readonly kind: 'stalled'; readonly ms: number }
  | { readonly kind: 'stalledInAnswer'; readonly bytes: number; readonly ms: number }
  /** Silence beyond all timeouts of the product, then a reset. */
  | { readonly kind: 'silent'; readonly ms: number }
  | { readonly kind: 'slow'; readonly pieceBytes: number; readonly everyMs: number }
  | { readonly kind: 'status'; readonly status: number; readonly hasBody: boolean }
  | { readonly kind: 'limited'; readonly retryAfterSeconds: number }
  /** A further answer that nobody has asked for, and the end of the connection. */
  | { readonly kind: 'unasked'; readonly afterMs: number };

export type FaultKind = Fault['kind'];

export interface FaultPlanOptions {
  readonly seed: string;
  /** Share of the requests that meet a fault, 0 to 1. */
  readonly rate: number;
  /** How many of the requests meet the longest fault. */
  readonly silences: number;
}

const mebibyte = 1024 * 1024;
/** Longer than the product waits for the head or for more of a body (60 s). */
const silenceMs = 65_000;

/** Faults and how often they come, compared with each other. */
const weights: readonly (readonly [number, (random: () => number) => Fault])[] = [
  [10, () => ({ kind: 'reset' })],
  [6, () => ({ kind: 'close' })],
  [6, () => ({ kind: 'closeWhenUsedAgain' })],
  [6, () => ({ kind: 'answerLost' })],
  [12, (random) => ({ kind: 'resetInAnswer', bytes: someBytes(random) })],
  [12, (random) => ({ kind: 'truncated', bytes: someBytes(random) })],
  [12, (random) => ({ kind: 'resetInRequest', bytes: someBytes(random) })],
  [8, (random) => ({ kind: 'stalled', ms: 100 + Math.floor(random() * 1_500) })],
  [8, (random) => ({ kind: 'stalledInAnswer', bytes: someBytes(random), ms: 100 + Math.floor(random() * 1_500) })],
  [8, (random) => ({ kind: 'slow', pieceBytes: 4_096 + Math.floor(random() * 65_536), everyMs: 1 + random() * 8 })],
  [14, (random) => ({ kind: 'status', status: pick([500, 502, 503], random), hasBody: random() < 0.5 })],
  [2, (random) => ({ kind: 'limited', retryAfterSeconds: pick([1, 1, 3], random) })],
  [6, (random) => ({ kind: 'unasked', afterMs: pick([0, 0, 20], random) })],
];
const weightsTotal = weights.reduce((sum, [weight]) => sum + weight, 0);

/**
 * Which request meets which fault: a matter of the seed, the connection's number and the request's number on it, so
 * that equal connections meet equal faults whatever else is under way.
 */
export class FaultPlan {
  readonly #options: FaultPlanOptions;
  #silencesLeft: number;
  #hasBegun = false;
  /** How many of each kind there were. */
  readonly met = new Map<FaultKind, number>();

  constructor(options: FaultPlanOptions) {
    this.#options = options;
    this.#silencesLeft = options.silences;
  }

  /** Until then all goes well. */
  begin(): void {
    this.#hasBegun = true;
  }

  next(server: string, connection: number, request: number): Fault {
    if (!this.#hasBegun) return { kind: 'none' };
    const random = randomOf(`${this.#options.seed}/${server}/${connection}/${request}`);
    const fault = random() < this.#options.rate ? this.#draw(random) : ({ kind: 'none' } as const);
    this.met.set(fault.kind, (this.met.get(fault.kind) ?? 0) + 1);
    return fault;
  }

  #draw(random: () => number): Fault {
    if (this.#silencesLeft > 0 && random() < 0.02) {
      this.#silencesLeft -= 1;
      return { kind: 'silent', ms: silenceMs };
    }
    let left = random() * weightsTotal;
    for (const [weight, make] of weights) {
      left -= weight;
      if (left < 0) return make(random);
    }
    return { kind: 'reset' };
  }
}

/** Most bodies are small, and a fault behind their end would be none. */
function someBytes(random: () => number): number {
  return random() < 0.5 ? Math.floor(random() * 2_048) : Math.floor(random() * 2 * mebibyte);
}

function pick<T>(choices: readonly T[], random: () => number): T {
  return choices[Math.floor(random() * choices.length)] as T;
}

/** Numbers from 0 to 1, the same for the same seed. */
export function randomOf(seed: string): () => number {
  let count = 0;
  return () => {
    count += 1;
    return Number.parseInt(hash('sha256', `${seed}#${count}`, 'hex').slice(0, 12), 16) / 2 ** 48;
  };
}
