/**
 * What stands beneath the X.509 library wants this before itself. It is a file of ours, imported first wherever the library is, so that the
 * bundler puts it into the chunk that the library lies in, and before it.
 */
import "reflect-metadata";
