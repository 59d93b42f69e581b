// The modes of pg_bench.cpp by pgx: DEPTH goroutines share a pool of eight connections.
//
//	bench CONNINFO DEPTH COUNT [WARM_UP [MODE]]
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const one = "select id, random_number from world where id = $1"

var number, left, sum atomic.Int64

func nextId() int32 {
	return int32(number.Add(7919) % 10000)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func work(pool *pgxpool.Pool, mode string) {
	ctx := context.Background()
	for {
		switch mode {
		case "queries":
			if left.Add(-20) < -19 {
				return
			}
			for i := 0; i < 20; i++ {
				var id, random int32
				must(pool.QueryRow(ctx, one, nextId()+1).Scan(&id, &random))
				sum.Add(int64(id) + int64(random))
			}
		case "batch":
			if left.Add(-20) < -19 {
				return
			}
			batch := &pgx.Batch{}
			for i := 0; i < 20; i++ {
				batch.Queue(one, nextId()+1)
			}
			results := pool.SendBatch(ctx, batch)
			for i := 0; i < 20; i++ {
				var id, random int32
				must(results.QueryRow().Scan(&id, &random))
				sum.Add(int64(id) + int64(random))
			}
			must(results.Close())
		case "updates":
			if left.Add(-1) < 0 {
				return
			}
			id := nextId()
			tag, err := pool.Exec(ctx, "update world set random_number = $2 where id = $1", id+1, id)
			must(err)
			sum.Add(tag.RowsAffected())
		case "fortunes":
			if left.Add(-1) < 0 {
				return
			}
			rows, err := pool.Query(ctx, "select id, message from fortune")
			must(err)
			for rows.Next() {
				var id int32
				var message string
				must(rows.Scan(&id, &message))
				sum.Add(int64(id) + int64(len(message)))
			}
			must(rows.Err())
		default:
			if left.Add(-1) < 0 {
				return
			}
			var id, random int32
			must(pool.QueryRow(ctx, one, nextId()+1).Scan(&id, &random))
			sum.Add(int64(id) + int64(random))
		}
	}
}

func run(pool *pgxpool.Pool, depth int, count int64, mode string) {
	if mode == "copy" {
		row := count + 1
		n, err := pool.CopyFrom(context.Background(), pgx.Identifier{"bulk"}, []string{"id", "name", "value"},
			pgx.CopyFromFunc(func() ([]any, error) {
				if row--; row == 0 {
					return nil, nil
				}
				return []any{row, "a name of some length", float64(row) / 8}, nil
			}))
		must(err)
		sum.Add(n)
		return
	}
	left.Store(count)
	var all sync.WaitGroup
	for i := 0; i < depth; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			work(pool, mode)
		}()
	}
	all.Wait()
}

func cpu() float64 {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: bench CONNINFO DEPTH COUNT [WARM_UP [MODE]]")
		os.Exit(2)
	}
	depth, _ := strconv.Atoi(os.Args[2])
	count, _ := strconv.ParseInt(os.Args[3], 10, 64)
	var warmUp int64
	if len(os.Args) > 4 {
		warmUp, _ = strconv.ParseInt(os.Args[4], 10, 64)
	}
	mode := "single"
	if len(os.Args) > 5 {
		mode = os.Args[5]
	}
	config, err := pgxpool.ParseConfig(os.Args[1])
	must(err)
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	must(err)
	run(pool, depth, warmUp, mode)
	if mode == "copy" {
		_, err = pool.Exec(context.Background(), "truncate bulk")
		must(err)
	}
	before, begin := cpu(), time.Now()
	sum.Store(0)
	run(pool, depth, count, mode)
	seconds := time.Since(begin).Seconds()
	fmt.Printf("{\"cpu_us\": %.4f, \"per_second\": %.1f, \"checksum\": %d}\n",
		(cpu()-before)*1e6/float64(count), float64(count)/seconds, sum.Load())
	pool.Close()
}
