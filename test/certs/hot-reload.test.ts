import { X509Certificate } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { Client } from 'undici';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openServingCertificate } from '../../certs/serving-certificate.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { handshake, listen, portOf } from './tls-server.ts';

const MINUTE_MS = 60_000;
// A CA is an hour old when it gets a successor; everything happens within the minutes around now, because the clients
// of these tests go by the real clock.
const lifetimes = { caLifeMs: 90 * MINUTE_MS, leafLifeMs: 3 * MINUTE_MS, overlapMs: MINUTE_MS };

/** A certificate whose clock is set by hand, in minutes from now. Its CA is an hour old at minute 0. */
async function openAgedCertificate() {
  const real = Date.now();
  const clock = { minute: -60 };
  const certificate = await openServingCertificate({
    directory: await temporaryDirectory(),
    names: ['localhost', '127.0.0.1'],
    lifetimes,
    now: () => real + clock.minute * MINUTE_MS,
    onError: (error) => expect.unreachable(String(error)),
  });
  onTestFinished(() => certificate.close());
  const advanceTo = async (minute: number) => {
    clock.minute = minute;
    await certificate.check();
  };
  await advanceTo(-1);
  return { certificate, advanceTo };
}

const serial = ({ current }: { current: { cert: string } }) => new X509Certificate(current.cert).serialNumber;
const countCas = (bundle: string) => bundle.split('-----BEGIN CERTIFICATE-----').length - 1;

describe('a server kept on a serving certificate', () => {
  it('serves the new certificate to new connections while an open one goes on, in the middle of an answer', async () => {
    const { certificate, advanceTo } = await openAgedCertificate();
    const answers: ServerResponse[] = [];
    const clientPorts: (number | undefined)[] = [];
    const server = await listen(certificate, (request, response) => {
      clientPorts.push(request.socket.remotePort);
      if (request.url === '/whole') return void response.end('whole');
      answers.push(response);
      response.write('before ');
    });
    const client = connectClient(server, certificate.caBundle);
    const before = serial(certificate);

    const { body } = await client.request({ method: 'GET', path: '/slow' });
    const chunks = body[Symbol.asyncIterator]();
    expect(String((await chunks.next()).value)).toBe('before ');
    await advanceTo(2);
    const after = serial(certificate);
    expect(after).not.toBe(before);
    expect(await handshake(server, certificate.caBundle)).toBe(after);
    answers[0]?.end('after');
    expect(String((await chunks.next()).value)).toBe('after');
    expect((await chunks.next()).done).toBe(true);

    const again = await client.request({ method: 'GET', path: '/whole' });
    expect(await again.body.text()).toBe('whole');
    expect(clientPorts[1]).toBe(clientPorts[0]);
  });

  it('is trusted through a whole rotation by clients that follow the bundle', async () => {
    const { certificate, advanceTo } = await openAgedCertificate();
    const server = await listen(certificate, (_, response) => response.end());
    const oldBundle = certificate.caBundle;
    const accepts = (ca: string) =>
      handshake(server, ca).then(
        () => true,
        () => false,
      );

    await advanceTo(0);
    const bothBundle = certificate.caBundle;
    const newBundle = bothBundle.replace(oldBundle, '');
    const seen = [];
    for (const minute of [0, 0.9, 1, 1.9, 3.9, 4]) {
      await advanceTo(minute);
      seen.push({
        minute,
        cas: countCas(certificate.caBundle),
        old: await accepts(oldBundle),
        both: await accepts(bothBundle),
        new: await accepts(newBundle),
        current: await accepts(certificate.caBundle),
      });
    }
    expect(seen).toEqual([
      { minute: 0, cas: 2, old: true, both: true, new: false, current: true },
      { minute: 0.9, cas: 2, old: true, both: true, new: false, current: true },
      { minute: 1, cas: 2, old: false, both: true, new: true, current: true },
      { minute: 1.9, cas: 2, old: false, both: true, new: true, current: true },
      { minute: 3.9, cas: 2, old: false, both: true, new: true, current: true },
      { minute: 4, cas: 1, old: false, both: true, new: true, current: true },
    ]);
  });

  it.each(['localhost', '127.0.0.1'])('is met as %s by a client that trusts the bundle only', async (host) => {
    const { certificate } = await openAgedCertificate();
    const server = await listen(certificate, (_, response) => response.end('ok'));
    const client = connectClient(server, certificate.caBundle, host);
    expect((await client.request({ method: 'GET', path: '/' })).statusCode).toBe(200);
  });

  it('is refused under a name that the certificate does not cover', async () => {
    const { certificate } = await openAgedCertificate();
    const server = await listen(certificate, (_, response) => response.end());
    await expect(handshake(server, certificate.caBundle, { servername: 'elsewhere' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  it('speaks TLS 1.2 and 1.3, nothing older, before and after a change', async () => {
    const { certificate, advanceTo } = await openAgedCertificate();
    const server = await listen(certificate, (_, response) => response.end());
    for (const minute of [-1, 2]) {
      await advanceTo(minute);
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const only = { minVersion: version, maxVersion: version };
        expect(await handshake(server, certificate.caBundle, only)).toBe(serial(certificate));
      }
      // Security level 0 lets the client offer TLS 1.1 at all: the refusal is the server's.
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      await expect(handshake(server, certificate.caBundle, old)).rejects.toMatchObject({
        code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
      });
    }
  });
});

function connectClient(server: Server, ca: string, host = 'localhost'): Client {
  const client = new Client(`https://${host}:${portOf(server)}`, { connect: { ca } });
  onTestFinished(() => client.destroy());
  return client;
}
