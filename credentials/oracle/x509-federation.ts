import type { X509Certificate } from 'node:crypto';
import { OracleError } from './errors.ts';
import { inStep } from './in-step.ts';
import { refusal } from './refusal.ts';
import { loadCommon } from './sdk.ts';
import { type Reply, send } from './send.ts';
import { makeSessionKey, type Session, type SessionKey, tokenSession } from './session.ts';
import type { Surroundings } from './surroundings.ts';

type Builder = InstanceType<typeof import('oci-common')['InstancePrincipalsAuthenticationDetailsProviderBuilder']>;
type CertificateSupplier = Builder['leafCertificateSupplier'];
type KeySupplier = Builder['sessionKeySupplier'];

/** What an instance proves with who it is. */
export interface CertificateChain {
  readonly leaf: X509Certificate;
  /** Of the leaf; PEM. */
  readonly privateKey: string;
  readonly intermediates: readonly X509Certificate[];
  readonly tenancyId: string;
}

/** Exchanges a certificate for a session token, by the SDK: `POST <endpoint>/v1/x509`. */
export async function federate(
  surroundings: Surroundings,
  endpoint: URL,
  chain: CertificateChain,
  signal: AbortSignal,
): Promise<Session> {
  const whom = `the federation at ${endpoint.host}`;
  return inStep({ step: 'federation', whom, timeoutMs: surroundings.stepTimeoutMs }, signal, async (within) => {
    let last: Reply | OracleError | undefined;
    const exchange = async (request: Request): Promise<Response> => {
      // The SDK asks again whatever fails, but for a 4xx: nobody waits for it any more.
      if (within.aborted) return new Response(null, { status: 400 });
      last = await sendOf(surroundings, request, within);
      if (last instanceof OracleError) throw last;
      return new Response(last.text || null, { status: last.status });
    };
    const key = await makeSessionKey();
    const builder = await abortableBuilder(exchange);
    builder.sessionKeySupplier = keySupplier(key);
    builder.federationEndpoint = endpoint.href.replace(/\/+$/, '');
    builder.tenancyId = chain.tenancyId;
    builder.leafCertificateSupplier = supplierOf(chain.leaf, chain.privateKey);
    builder.intermediateCertificateSuppliers = chain.intermediates.map((each) => supplierOf(each)) as [
      CertificateSupplier,
    ];
    let keyId: string;
    try {
      keyId = await (await builder.build()).getKeyId();
    } catch {
      // What the SDK throws has neither status nor reason; we have seen both.
      throw federationError(last, whom, surroundings.now);
    }
    const session = tokenSession(keyId, key.privateKey);
    if (session === undefined) throw federationError(last, whom, surroundings.now);
    return session;
  });
}

async function sendOf(
  { dispatchers }: Surroundings,
  request: Request,
  signal: AbortSignal,
): Promise<Reply | OracleError> {
  const { method, url } = request;
  const question = {
    method,
    url: new URL(url),
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
  };
  try {
    return await send(dispatchers.for(question.url), 'federation', question, signal);
  } catch (error) {
    if (error instanceof OracleError) return error;
    if (signal.aborted) return { status: 400, headers: {}, text: '' };
    throw error;
  }
}

function federationError(last: Reply | OracleError | undefined, whom: string, now: () => number): OracleError {
  if (last instanceof OracleError) return last;
  if (last === undefined || last.status === 200) {
    return new OracleError('federation', 'Protocol', `${whom} answered 200 without a token`);
  }
  const advice = {
    401: "it does not accept the instance's certificate: is the clock right, and the instance not terminated?",
    404: 'is it the federation of this region?',
  };
  return refusal(last, { step: 'federation', whom, now, advice });
}

/**
 * The SDK's builder, with our client in place of its circuit breaker around `fetch`: that one waits for a minute, cannot
 * be aborted, and stays open for another half after three failures.
 */
async function abortableBuilder(exchange: (request: Request) => Promise<Response>): Promise<Builder> {
  const { InstancePrincipalsAuthenticationDetailsProviderBuilder } = await loadCommon();
  return new (class extends InstancePrincipalsAuthenticationDetailsProviderBuilder {
    constructor() {
      super();
      // They hold timers.
      this._circuitBreaker.shutdown();
      this._authCircuitBreaker.circuit.shutdown();
      this._authCircuitBreaker = { circuit: { fire: exchange } } as unknown as typeof this._authCircuitBreaker;
    }
  })();
}

/** The SDK's own makes two keys for each session, and holds up everything else meanwhile. */
const keySupplier = (key: SessionKey): KeySupplier =>
  ({
    getKeyPair: () => ({ getPublic: () => key.publicKey, getPrivate: () => key.privateKey }),
    refreshKeys: () => {},
  }) as unknown as KeySupplier;

/** Node's certificate with what the SDK's federation asks of one by the library that it parses them with itself. */
function supplierOf(certificate: X509Certificate, privateKey?: string): CertificateSupplier {
  const read = {
    toString: () => certificate.toString(),
    fingerprint: () => ({ toString: () => certificate.fingerprint.toLowerCase() }),
  };
  const key = privateKey === undefined ? null : { toBuffer: () => Buffer.from(privateKey) };
  return {
    getCertificateAndKeyPair: () => ({ getCertificate: () => read, getPrivateKey: () => key }),
  } as unknown as CertificateSupplier;
}
