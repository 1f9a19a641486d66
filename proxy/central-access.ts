import { LRUCache } from 'lru-cache';
import type { z } from 'zod';
import { callerAudience } from '../connectors/pull-identity.ts';
import type { Caller, GrantSource, RefusedGrant } from '../credentials/grant.ts';
import { CentreClient } from '../platform/centre/client.ts';
import { isAway } from '../platform/centre/refusal.ts';
import { ProxyError } from '../platform/errors.ts';
import { inTime } from '../platform/in-time.ts';
import { SharedFlight } from '../platform/shared-flight.ts';
import { type Access, type AccessWant, type Admission, admissionKey, type Call, unknownCaller } from './access.ts';
import {
  callerAnswer,
  callersPath,
  callerTokenHeader,
  type GrantAnswer,
  grantAnswer,
  grantsPath,
  readConnector,
  selfAnswer,
  selfPath,
} from './agent-protocol.ts';
import { tokenDigest } from './caller.ts';
import type { CentreRoute } from './centre-route.ts';
import { readClaims } from './service-account-token.ts';

export interface CentralAccessOptions {
  readonly client: CentreClient;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

interface Remembered {
  readonly answer: GrantAnswer;
  readonly admission: Admission;
  /** When the centre last said so. */
  readonly at: number;
  /** When grant or token end, whichever is first. */
  readonly until: number;
  /** When the centre could last not say it again. */
  failedAt: number;
}

const rememberedMax = 10_000;
const rememberedLengthMax = 32 * 1024 * 1024;
/** What the centre said counts for this long; rights and credentials that change are followed within twice that. */
const validMs = 25_000;
/** Grants that never expire are good for this long without the centre. */
const lastingMs = 15 * 60_000;
/** A grant this short of its end is renewed before it is used: a request begun with it must find it good. */
const renewBeforeMs = 10_000;
/** After a failure, what is remembered is used for this long before the centre is asked again. */
const pauseMs = 5_000;
/** Who has an answer that was good a while ago waits this long for a new one. */
const patienceMs = 1_000;
/** An answer this old counts no more because a new one takes long, but only because none can be had. */
const oldMs = 45_000;
/** Or not at all, as long as the centre is known to be away. */
const awayMs = 30_000;

/**
 * Access and grants as an agent has them: asked of the centre, with the caller's token and the agent's own, and
 * remembered. With the centre away, what it granted is good until it expires.
 */
export class CentralAccess implements Access {
  readonly #client: CentreClient;
  readonly #now: () => number;
  readonly #remembered = new LRUCache<string, Remembered>({
    max: rememberedMax,
    maxSize: rememberedLengthMax,
    sizeCalculation: ({ answer }, key) => key.length + JSON.stringify(answer).length,
  });
  readonly #identified = new LRUCache<string, { readonly caller: Caller; readonly at: number }>({ max: rememberedMax });
  readonly #flights = new SharedFlight<Remembered>();
  readonly #identifications = new SharedFlight<Caller>();

  constructor({ client, now = Date.now }: CentralAccessOptions) {
    this.#client = client;
    this.#now = now;
  }

  /** What the centre knows of this agent. */
  async self(signal: AbortSignal): Promise<z.infer<typeof selfAnswer>> {
    return selfAnswer.parse(await this.#client.ask('GET', selfPath, undefined, signal));
  }

  async identify({ token }: Call, signal: AbortSignal): Promise<Caller> {
    if (!this.#isPlausible(token)) throw unknownCaller(token);
    const key = tokenDigest(token);
    const known = this.#identified.get(key);
    if (known === undefined) return this.#identify(token, signal);
    if (this.#now() - known.at < validMs || this.#isPausing(this.#client.awayAt)) return known.caller;
    const asked = this.#identify(token, new AbortController().signal);
    return (await this.#inTime(asked, known.at)) ?? known.caller;
  }

  #identify(token: string, signal: AbortSignal): Promise<Caller> {
    const key = tokenDigest(token);
    return this.#identifications.run(key, signal, async (shared) => {
      try {
        const { caller } = callerAnswer.parse(await this.#client.ask('POST', callersPath, { token }, shared));
        this.#identified.set(key, { caller: { name: caller }, at: this.#now() });
        return { name: caller };
      } catch (error) {
        if (isFinal(error)) this.#identified.delete(key);
        throw error;
      }
    });
  }

  async admit(want: AccessWant, signal: AbortSignal): Promise<Admission> {
    const { admission } = await this.#remember(want, undefined, signal);
    return admission;
  }

  async #remember(want: AccessWant, refused: RefusedGrant | undefined, signal: AbortSignal): Promise<Remembered> {
    if (want.token === undefined) throw unknownCaller(undefined);
    const key = admissionKey(tokenDigest(want.token), want);
    const known = this.#remembered.get(key);
    const now = this.#now();
    // What is remembered ends with its token at the latest: only another token has to be read.
    if (refused !== undefined || known === undefined || now >= known.until) {
      if (!this.#isPlausible(want.token)) throw unknownCaller(want.token);
      return this.#renew(key, want, refused, signal);
    }
    const isFresh = now - known.at < validMs && now < known.until - renewBeforeMs;
    if (isFresh || this.#isPausing(known.failedAt) || this.#isPausing(this.#client.awayAt)) return known;
    // Whoever began to ask may leave: the answer is for those who come next as well.
    const renewed = await this.#inTime(this.#renew(key, want, undefined, new AbortController().signal), known.at);
    if (renewed === undefined) known.failedAt = this.#now();
    return renewed ?? known;
  }

  #renew(key: string, want: AccessWant, refused: RefusedGrant | undefined, signal: AbortSignal): Promise<Remembered> {
    return this.#flights.run(`${key}\n${refused === undefined}`, signal, async (shared) => {
      try {
        const answered = await this.#grant(want, refused, shared);
        this.#remembered.set(key, answered);
        return answered;
      } catch (error) {
        const known = this.#remembered.peek(key);
        if (isFinal(error)) this.#remembered.delete(key);
        else if (known !== undefined) known.failedAt = this.#now();
        throw error;
      }
    });
  }

  #isPausing(failedAt: number): boolean {
    return this.#now() - failedAt < pauseMs;
  }

  /** An answer, or undefined where the centre has none at present; what it refuses is thrown. */
  #inTime<T>(asked: Promise<T>, since: number): Promise<T | undefined> {
    // Slow is not away: what is old is waited for, until the question itself has failed.
    const patience = this.#now() - since > oldMs ? CentreClient.askMs : patienceMs;
    const isAwayNow = this.#now() - this.#client.awayAt < awayMs;
    const answer = asked.catch((error: unknown) => {
      if (isFinal(error)) throw error;
      return undefined;
    });
    return inTime(answer, isAwayNow ? 0 : patience);
  }

  /** Garbage is turned away here, and costs the centre nothing. */
  #isPlausible(token: string | undefined): token is string {
    const claims = token === undefined ? undefined : readClaims(token);
    return claims !== undefined && claims.expiresAt > this.#now() && claims.audiences.includes(callerAudience);
  }

  async #grant(want: AccessWant, refused: RefusedGrant | undefined, signal: AbortSignal): Promise<Remembered> {
    const { token, connector, repository } = want;
    const question = { token, connector, repository, refused: refused?.grant, isForbidden: refused?.isForbidden };
    const body = await this.#client.ask('POST', grantsPath, question, signal);
    const answer = grantAnswer.parse(body);
    const at = this.#now();
    const { grant } = answer;
    const tokenEnd = readClaims(token ?? '')?.expiresAt ?? 0;
    const grantEnd = grant.kind === 'authorization' ? grant.expiresAt : at + lastingMs;
    const admission = this.#admission(want, answer);
    return { answer, admission, at, until: Math.min(tokenEnd, grantEnd), failedAt: Number.NEGATIVE_INFINITY };
  }

  #admission(want: AccessWant, answer: GrantAnswer): Admission {
    const connector = readConnector(answer);
    const grants: GrantSource = {
      grant: async ({ refused }, signal) => {
        const remembered = await this.#remember(want, refused, signal);
        // A token for the registry of today is not for the one that the connector named when the request began.
        if (remembered.answer.connector.address.origin === connector.address.origin) return remembered.answer.grant;
        throw new ProxyError('CONNECTOR_UNUSABLE', 'its address has just changed: try again', {
          headers: { 'retry-after': '1' },
        });
      },
    };
    const client = this.#client;
    const centre: CentreRoute = {
      origin: client.origin,
      dispatcher: client.dispatcher,
      headers: () => ({ authorization: client.authorization, [callerTokenHeader]: want.token ?? '' }),
    };
    return { caller: { name: answer.caller }, connector, grants, centre };
  }
}

const isFinal = (error: unknown): boolean => !isAway(error);
