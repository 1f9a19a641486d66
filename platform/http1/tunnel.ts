import type { Socket } from 'node:net';
import { AnswerReader } from './answer-reader.ts';
import { Http1Error, HttpProxyError } from './errors.ts';

const headBytesMax = 16_384;

/**
 * Asks an HTTP proxy for a tunnel to `authority` (RFC 9110, section 9.3.6). What was read behind the head of its answer
 * would have come from the other end before we said anything: refused.
 * @throws HttpProxyError where it says anything else than 2xx; Http1Error
 */
export function openTunnel(socket: Socket, authority: string, authorization: string | undefined): Promise<void> {
  const lines = [`CONNECT ${authority} HTTP/1.1`, `host: ${authority}`];
  if (authorization !== undefined) lines.push(`proxy-authorization: ${authorization}`);
  return new Promise<void>((resolve, reject) => {
    let status: number | undefined;
    const reader = new AnswerReader(
      {
        isHalted: false,
        onInformation() {},
        onHead: (head) => {
          status = head.status;
        },
        onData() {},
      },
      headBytesMax,
    );
    // As to a HEAD: what follows is the tunnel, and no body.
    reader.expect(true);
    const settle = (error: Error | undefined) => {
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.pause();
      if (error === undefined) return resolve();
      socket.destroy();
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      const end = reader.read(chunk);
      if (end < 0) settle(reader.error);
      else if (status !== undefined) settle(end < chunk.length && isSuccess(status) ? tooEarly() : refusalOf(status));
    };
    const onClose = () => settle(new Http1Error('UND_ERR_PRX_CONN', 'the HTTP proxy closed the connection'));
    socket.on('data', onData);
    socket.once('close', onClose);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  });
}

const isSuccess = (status: number): boolean => status >= 200 && status < 300;

const refusalOf = (status: number): Error | undefined => (isSuccess(status) ? undefined : new HttpProxyError(status));

const tooEarly = (): Error =>
  new Http1Error('UND_ERR_PRX_CONN', 'the tunnel brought bytes before we had said anything');
