import { expect, test } from 'vitest';
import { ociErrors, ProxyError, type ProxyErrorCode } from '../../platform/errors.ts';

/** distribution-spec, «Error Codes», and TOOMANYREQUESTS and UNAVAILABLE of the registries. */
const wireCodes =
  'BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID MANIFEST_BLOB_UNKNOWN MANIFEST_INVALID MANIFEST_UNKNOWN NAME_INVALID NAME_UNKNOWN SIZE_INVALID UNAUTHORIZED DENIED UNSUPPORTED TOOMANYREQUESTS UNAVAILABLE UNKNOWN'.split(
    ' ',
  );
const codes = Object.keys(ociErrors) as ProxyErrorCode[];

test.each(codes)('%s has a code that clients know, and a status of an error', (code) => {
  const error = new ProxyError(code, 'why');
  expect(wireCodes).toContain(ociErrors[code][0]);
  expect(error.status).toBeGreaterThanOrEqual(400);
  expect([error.name, error.headers]).toEqual(['ProxyError', {}]);
});

test('the body is an OCI error body that names the connector and the reason', () => {
  const error = new ProxyError('CREDENTIAL_REFUSED', 'no "more"\n', { headers: { 'retry-after': '1' }, cause: 'x' });
  expect(JSON.parse(error.toBody('demo/harbor'))).toEqual({
    errors: [
      {
        code: 'DENIED',
        message: 'connector demo/harbor: no "more"\n',
        detail: { reason: 'CREDENTIAL_REFUSED', connector: 'demo/harbor' },
      },
    ],
  });
  expect(JSON.parse(error.toBody()).errors[0]).toMatchObject({
    message: 'no "more"\n',
    detail: { reason: error.code },
  });
  expect(error.headers).toEqual({ 'retry-after': '1' });
});
