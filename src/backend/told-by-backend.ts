/**
 * The cause of a failure that the backend told of in an answer of its own. It runs, and may have failed at this request
 * alone; one that is not reached, breaks off or stays silent fails at every request.
 */
export class ToldByBackend extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the backend answered ${status}`);
    this.status = status;
  }
}
