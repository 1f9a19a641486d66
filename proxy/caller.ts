import { hash } from 'node:crypto';
import type { ConnectorKey } from '../connectors/address.ts';
import type { Action, Caller } from '../credentials/grant.ts';

/** A caller with what it may do. */
export interface KnownCaller extends Caller {
  /** @throws ProxyError ACCESS_UNAVAILABLE where that cannot be told at present */
  may(action: Action, connector: ConnectorKey, signal?: AbortSignal): boolean | Promise<boolean>;
}

/** Where a call comes from. */
export interface CallOrigin {
  /** IP address of the peer. */
  readonly address: string;
  /** Node of the agent through which it came. */
  readonly node?: string | undefined;
}

/** Finds out who calls. */
export interface CallerSource {
  /**
   * The caller whose token this is; undefined for a token that is nobody's, or for none where one is needed.
   * @throws ProxyError CALLER_UNKNOWN with a reason, CALLER_LIMITED or ACCESS_UNAVAILABLE
   */
  identify(
    token: string | undefined,
    origin: CallOrigin,
    signal: AbortSignal,
  ): KnownCaller | undefined | Promise<KnownCaller | undefined>;
}

/** Callers that are known without asking anybody. */
export interface LocalCallers extends CallerSource {
  identify(token: string | undefined): KnownCaller | undefined;
}

/**
 * The token of an `Authorization` header: that of `Bearer`, or the password of `Basic`, whose user name says nothing.
 * Undefined where there is none.
 */
export function tokenOf(authorization: string | undefined): string | undefined {
  const [, scheme = '', value = ''] = /^\s*(basic|bearer)\s+(\S+)\s*$/i.exec(authorization ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return value;
  if (scheme === '') return undefined;
  const text = Buffer.from(value, 'base64').toString('utf8');
  const password = text.slice(text.indexOf(':') + 1);
  return text.includes(':') && password !== '' ? password : undefined;
}

/** Everybody is a caller and may do everything: for a listener that only this machine reaches. */
export const everyone: LocalCallers = Object.freeze({ identify: () => local });

const local: KnownCaller = Object.freeze({ name: 'local', may: () => true });

/** Tokens are compared by their digests, so that neither time nor a heap dump of the table tells a token. */
export const tokenDigest = (token: string): string => hash('sha256', token);
