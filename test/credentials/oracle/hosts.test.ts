import { Realm } from 'oci-common';
import { describe, expect, test } from 'vitest';
import { isOracleRegistry, registryOrigin } from '../../../credentials/oracle/hosts.ts';
import { realmDomains } from '../../../credentials/oracle/realms.ts';

describe('isOracleRegistry', () => {
  test.each([
    'fra.ocir.io',
    'eu-frankfurt-1.ocir.io',
    'ocir.io',
    'FRA.OCIR.IO',
    'fra.ocir.io:443',
    'artifacts.eu-frankfurt-1.oci.oraclecloud.com',
    'ocir.us-ashburn-1.oci.oraclecloud.com',
    'ocir.us-gov-ashburn-1.oci.oraclegovcloud.com',
    'artifacts.uk-gov-london-1.oci.oraclegovcloud.uk',
    'ocir.eu-madrid-2.oci.oraclecloud.eu',
    'ocir.sa-riodejaneiro-1.oci.oraclecloud52.com',
  ])('%s is one', (host) => {
    expect(isOracleRegistry(host)).toBe(true);
  });

  test.each([
    '',
    'ocir.io.evil.com',
    'evilocir.io',
    'fra.evilocir.io',
    'fra-ocir.io',
    'fra.ocir.io.',
    'fra..ocir.io',
    '.ocir.io',
    '-.ocir.io',
    '*.ocir.io',
    'a.b.ocir.io',
    'fra.ocir.io:8443',
    'fra.ocir.io:443:443',
    'fra.ocir.io:',
    'user@fra.ocir.io',
    'evil.com#.ocir.io',
    'evil.com/.ocir.io',
    'evil.com\\.ocir.io',
    'evil.com?.ocir.io',
    'fra.ocir.io/tenancy',
    'fra.ocir.io\n',
    ' fra.ocir.io',
    'https://fra.ocir.io',
    'fra.öcir.io',
    'fra.oсir.io',
    'artifacts.oci.oraclecloud.com',
    'artifacts.eu-frankfurt-1.oraclecloud.com',
    'artifacts.eu-frankfurt-1.oci.oraclecloud.com.evil.com',
    'artifacts.eu-frankfurt-1.oci.oraclecloud99.com',
    'artifacts.evil.com.oci.oraclecloud.com',
    'objectstorage.eu-frankfurt-1.oci.oraclecloud.com',
    'docker.io',
    '169.254.169.254',
    '[::1]:5000',
  ])('%j is none', (host) => {
    expect(isOracleRegistry(host)).toBe(false);
  });

  test.each([
    ['ocir.xx-new-1.oci.oraclecloud99.com', ['oraclecloud99.com'], true],
    ['oraclecloud99.com', ['oraclecloud99.com'], true],
    ['eviloraclecloud99.com', ['oraclecloud99.com'], false],
    ['oraclecloud99.com.evil.com', ['oraclecloud99.com'], false],
    ['127.0.0.1:5000', ['127.0.0.1:5000'], true],
    ['127.0.0.1:5000', ['127.0.0.1'], false],
    ['ocir.dedicated.example:443', ['dedicated.example'], true],
    ['ocir.dedicated.example', ['dedicated.example:443'], true],
    ['anybodys-vm.dedicated.example:8443', ['dedicated.example'], false],
    ['ocir.dedicated.example:8443', ['dedicated.example:8443'], true],
    ['ocir.dedicated.example', ['dedicated.example:8443'], false],
    ['127.0.0.1:5001', ['127.0.0.1:5000'], false],
    ['anything.com', [''], false],
    ['anything.com', ['.com', '*'], false],
  ])('%s with further domains %j: %s', (host, domains, expected) => {
    expect(isOracleRegistry(host, domains)).toBe(expected);
  });

  test.each([
    ['fra.ocir.io', 'https'],
    ['OCIR.eu-frankfurt-1.oci.oraclecloud.com:443', 'https'],
    ['127.0.0.1:5000', 'http'],
    ['fra.ocir.io:5000', 'http'],
  ])('%s is asked by %s where the setting is http', (host, protocol) => {
    expect(registryOrigin(host, 'http')).toBe(`${protocol}://${host}`);
    expect(registryOrigin(host)).toBe(`https://${host}`);
  });

  test("the realms known here are the SDK's", () => {
    const theirs = Realm.values().map(({ realmId, secondLevelDomain }) => [realmId, secondLevelDomain]);
    expect(Object.fromEntries(theirs)).toEqual(realmDomains);
  });
});
