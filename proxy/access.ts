import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { ConnectorStore } from '../connectors/catalogue.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import type { Action, Caller, GrantSource } from '../credentials/grant.ts';
import { ProxyError, type ProxyErrorCode } from '../platform/errors.ts';
import type { CallerSource, CallOrigin, KnownCaller } from './caller.ts';
import type { CentreRoute } from './centre-route.ts';

/** Who calls, as far as the call itself says it. */
export interface Call {
  /** Undefined where none was sent. */
  readonly token: string | undefined;
  readonly origin: CallOrigin;
}

/** What a caller wants of a connector. */
export interface AccessWant extends Call {
  readonly connector: ConnectorKey;
  /** As the caller names it, without the connector. */
  readonly repository: string;
  readonly action: Action;
}

/** A caller who was let in, and what serves the request from here on. */
export interface Admission {
  readonly caller: Caller;
  readonly connector: ResolvedConnector;
  readonly grants: GrantSource;
  /** How a request goes through the centre when its grant says so; the centre itself has none. */
  readonly centre?: CentreRoute;
}

/** Decides who may do what, wherever that is known. */
export interface Access {
  /** @throws ProxyError TOKEN_REQUIRED, CALLER_UNKNOWN, CALLER_LIMITED or ACCESS_UNAVAILABLE */
  identify(call: Call, signal: AbortSignal): Promise<Caller>;
  /** @throws ProxyError as `identify`; ACCESS_DENIED, CONNECTOR_UNKNOWN or CONNECTOR_UNUSABLE */
  admit(want: AccessWant, signal: AbortSignal): Promise<Admission>;
}

export interface LocalAccessOptions {
  readonly store: ConnectorStore;
  readonly callers: CallerSource;
  readonly grants: GrantSource;
}

/** Access where connectors and their credentials are at hand: in the centre, and in a standalone process. */
export function localAccess({ store, callers, grants }: LocalAccessOptions): Access {
  const identify = async (call: Call, signal: AbortSignal): Promise<KnownCaller> => {
    const caller = await callers.identify(call.token, call.origin, signal);
    if (caller !== undefined) return caller;
    throw unknownCaller(call.token);
  };
  return {
    identify,
    async admit(want, signal) {
      const caller = await identify(want, signal);
      // Asked before the connector is looked up: who may not use it is not told whether it is there.
      if (!(await caller.may(want.action, want.connector, signal))) {
        throw refuse('ACCESS_DENIED', `${caller.name} may not ${want.action} through it`, caller);
      }
      const connector = store.catalogue.connector(want.connector);
      if (connector === undefined) throw refuse('CONNECTOR_UNKNOWN', 'there is no such connector', caller);
      const problem = connector.problems[0];
      if (problem !== undefined) throw refuse('CONNECTOR_UNUSABLE', `${problem.reason}: ${problem.message}`, caller);
      return { caller, connector, grants };
    },
  };
}

const refuse = (code: ProxyErrorCode, message: string, { name }: Caller): ProxyError =>
  new ProxyError(code, message, { caller: name });

/** What a caller is told whose token is missing, or nobody's. */
export function unknownCaller(token: string | undefined): ProxyError {
  if (token !== undefined) return new ProxyError('CALLER_UNKNOWN', 'the token is not known here');
  const message =
    'a token is needed: send it as the password of Basic authentication, with any user name, or as Bearer';
  return new ProxyError('TOKEN_REQUIRED', message);
}

/** A key for caches of what was decided about a want; the token goes in by its digest. */
export const admissionKey = (tokenDigest: string, { connector, repository, action }: AccessWant): string =>
  `${tokenDigest}\n${formatKey(connector)}\n${repository}\n${action}`;
