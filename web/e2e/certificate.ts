/** A certificate for the server under test, signed by a certificate authority made for it alone. */
import { execFile } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Certificate {
  /** PEM files: the chain, and the private key of its first certificate. */
  chain: string;
  key: string;
  /** The authority's certificate as PEM text. */
  authority: string;
  /** SHA-256 of the authority's public key, as Chromium is told whom to trust. */
  pin: string;
}

const run = promisify(execFile);
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const DAYS = ['-days', '2'];

/** Makes one for 127.0.0.1 in a folder. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args);
  await openssl('req', '-x509', ...NEW_KEY, ...DAYS, '-subj', '/CN=Tourbillon e2e', '-keyout', file('ca.key'), '-out', file('ca.pem'));
  await openssl('req', ...NEW_KEY, '-subj', '/CN=127.0.0.1', '-keyout', file('tls.key'), '-out', file('tls.csr'));
  await writeFile(file('tls.ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n');
  const signer = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-extfile', file('tls.ext')];
  await openssl('x509', '-req', '-in', file('tls.csr'), ...signer, ...DAYS, '-out', file('tls.pem'));
  const authority = await readFile(file('ca.pem'), 'utf8');
  await writeFile(file('chain.pem'), (await readFile(file('tls.pem'), 'utf8')) + authority);
  const publicKey = new X509Certificate(authority).publicKey.export({ type: 'spki', format: 'der' });
  const pin = createHash('sha256').update(publicKey).digest('base64');
  return { chain: file('chain.pem'), key: file('tls.key'), authority, pin };
}
