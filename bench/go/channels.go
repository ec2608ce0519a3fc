// SPDX-License-Identifier: BSL-1.0

// Go's channels under the work of bench/support/coroutines.hpp: the same rows, printed as bench/compare
// reads them.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"time"
)

var atLeast time.Duration

func spawn(group *sync.WaitGroup, work func()) {
	group.Add(1)
	go func() {
		work()
		group.Done()
	}()
}

func check(sum, want uint64) {
	if sum != want {
		panic("messages lost")
	}
}

func sumOf(n uint64) uint64 { return n * (n - 1) / 2 }

func produce(to chan<- uint64, from, end uint64) {
	for m := from; m != end; m++ {
		to <- m
	}
}

func consume(from <-chan uint64, count uint64) (sum uint64) {
	for ; count != 0; count-- {
		sum += <-from
	}
	return
}

func pair(n uint64) time.Duration {
	c := make(chan uint64, 1024)
	start := time.Now()
	var sum uint64
	for m := uint64(0); m != n; m++ {
		c <- m
		sum += <-c
	}
	check(sum, sumOf(n))
	return time.Since(start)
}

func trip(n uint64) time.Duration {
	there, back := make(chan uint64, 1), make(chan uint64, 1)
	start := time.Now()
	go func() {
		for i := uint64(0); i != n; i++ {
			back <- <-there
		}
	}()
	var sum uint64
	for m := uint64(0); m != n; m++ {
		there <- m
		sum += <-back
	}
	check(sum, sumOf(n))
	return time.Since(start)
}

func stream(n uint64, capacity int, producers, consumers uint64) time.Duration {
	c := make(chan uint64, capacity)
	sums := make([]uint64, consumers)
	var all sync.WaitGroup
	start := time.Now()
	for i := uint64(0); i < consumers; i++ {
		i := i
		spawn(&all, func() { sums[i] = consume(c, n*(i+1)/consumers-n*i/consumers) })
	}
	for i := uint64(0); i < producers; i++ {
		i := i
		spawn(&all, func() { produce(c, n*i/producers, n*(i+1)/producers) })
	}
	all.Wait()
	took := time.Since(start)
	var sum uint64
	for _, one := range sums {
		sum += one
	}
	check(sum, sumOf(n))
	return took
}

func pipeline(n uint64, workers uint64) time.Duration {
	first, second := make(chan uint64, 256), make(chan uint64, 256)
	var all sync.WaitGroup
	var sum uint64
	start := time.Now()
	spawn(&all, func() { sum = consume(second, n) })
	for i := uint64(0); i < workers; i++ {
		count := n*(i+1)/workers - n*i/workers
		spawn(&all, func() {
			for j := uint64(0); j != count; j++ {
				second <- 1 + <-first
			}
		})
	}
	spawn(&all, func() { produce(first, 0, n) })
	all.Wait()
	check(sum, sumOf(n)+n)
	return time.Since(start)
}

func chain(all, length uint64) time.Duration {
	rounds := all / length
	channels := make([]chan uint64, length+1)
	for i := range channels {
		channels[i] = make(chan uint64, 1)
	}
	var asleep, over sync.WaitGroup
	asleep.Add(int(length))
	for i := uint64(0); i < length; i++ {
		from, to := channels[i], channels[i+1]
		spawn(&over, func() {
			asleep.Done()
			for r := uint64(0); r <= rounds; r++ {
				to <- 1 + <-from
			}
		})
	}
	asleep.Wait()
	start := time.Now()
	var took time.Duration
	var sum uint64
	for m := uint64(0); m <= rounds; m++ {
		if m == rounds {
			took = time.Since(start)
		}
		channels[0] <- m
		sum += <-channels[length]
	}
	check(sum, sumOf(rounds+1)+length*(rounds+1))
	over.Wait()
	return took
}

func main() {
	filter := flag.String("benchmark_filter", ".", "")
	seconds := flag.Float64("benchmark_min_time", 0.2, "")
	flag.String("benchmark_format", "json", "")
	flag.Parse()
	atLeast = time.Duration(*seconds * float64(time.Second))
	wanted := regexp.MustCompile(*filter)
	n := uint64(1000000)
	if asked, err := strconv.ParseUint(os.Getenv("MILLRACE_BENCH_MESSAGES"), 10, 64); err == nil {
		n = asked
	}
	hops := n
	if hops > 100000 {
		hops = 100000
	}
	length := func(stages uint64) uint64 {
		if stages > hops {
			return hops
		}
		return stages
	}

	row := func(group, shape string, threads int, items uint64, work func() time.Duration) {
		name := "waiting/" + group + "/" + shape + "/Go channels"
		if !wanted.MatchString(name) {
			return
		}
		runtime.GOMAXPROCS(threads)
		work()
		var runs uint64
		var took time.Duration
		for took < atLeast || runs == 0 {
			took += work()
			runs++
		}
		fmt.Printf("\"name\": \"%s\",\n\"items_per_second\": %g,\n", name, float64(items*runs)/took.Seconds())
	}
	row("latency/1024", "pair", 1, n, func() time.Duration { return pair(n) })
	row("latency/1", "trip", 1, n/4, func() time.Duration { return trip(n / 4) })
	for _, ends := range []struct{ producers, consumers uint64 }{{1, 1}, {4, 4}, {10, 10}, {1000, 1}} {
		shape := fmt.Sprintf("%dp%dc", ends.producers, ends.consumers)
		row("stream/1024", shape, 2, n, func() time.Duration { return stream(n, 1024, ends.producers, ends.consumers) })
	}
	row("stream/1", "1p1c", 2, n, func() time.Duration { return stream(n, 1, 1, 1) })
	row("pipeline/256", "1w", 2, n, func() time.Duration { return pipeline(n, 1) })
	row("pipeline/256", "4w", 2, n, func() time.Duration { return pipeline(n, 4) })
	row("chain/1", "1k", 2, hops, func() time.Duration { return chain(hops, length(1000)) })
	row("chain/1", "100k", 2, hops, func() time.Duration { return chain(hops, length(100000)) })
}
